"""Logs: what takes the lines of Airflow's containers to a store."""

from components.logs.shipper import Shipper, ShipperArgs

__all__ = ["Shipper", "ShipperArgs"]
