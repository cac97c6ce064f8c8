"""The decision: what a plan costs and emits a month, against what an API would charge. Money never mixes currencies."""

from infrascale.economics.cost import Bill, Terms, bought, rented
from infrascale.economics.energy import Footprint, Site, footprint
from infrascale.economics.money import Currency, Money, Rate, Span, converted, span
from infrascale.economics.prices import HOURLY, Offer, Quote, latest
from infrascale.economics.usage import Day, Usage, monthly_usage, peaked_day

__all__ = [
    "HOURLY", "Bill", "Currency", "Day", "Footprint", "Money", "Offer", "Quote", "Rate", "Site", "Span", "Terms",
    "Usage", "bought", "converted", "footprint", "latest", "monthly_usage", "peaked_day", "rented", "span",
]  # fmt: skip
