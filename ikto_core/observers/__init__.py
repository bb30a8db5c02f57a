"""Deliver mesh events to observers: the contract, the event hub, and the runner of one observer.

This package must not know where views come from, nor what an observer does with events.
"""
