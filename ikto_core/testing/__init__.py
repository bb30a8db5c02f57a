"""What tests of Ikto and of its plugins build on: contract kits and stores in memory."""
