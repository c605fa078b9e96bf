"""The version of the engine and of the extension: one number, kept in agreement with the package by a test."""

VERSION = "0.1.0"
