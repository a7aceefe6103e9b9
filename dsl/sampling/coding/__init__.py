"""Labels to and from coders: files, sheets, codebooks, several coders' votes and agreement."""
