"""Logs: what takes the lines of Airflow's containers to a store, and a store of the platform's own."""

from components.logs.shipper import Shipper, ShipperArgs
from components.logs.store import LogStore
from components.logs.store_args import KibanaArgs, LogStoreArgs, Retention, Snapshots

__all__ = ["KibanaArgs", "LogStore", "LogStoreArgs", "Retention", "Shipper", "ShipperArgs", "Snapshots"]
