"""InfraScale for other programs: the verbs over HTTP (`app`) and as tools of a language model (`tools`).

Both are thin: `verbs` bounds what may be asked and answers with the same JSON as the command line.
"""
