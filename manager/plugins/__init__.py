"""Plugins: found, loaded, asked, and kept from hurting each other."""

from manager.plugins.host import Offer, PluginHost

__all__ = ["Offer", "PluginHost"]
