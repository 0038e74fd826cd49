"""The whole program on one screen: files -> spec -> compile -> plan -> target -> documents -> text."""
