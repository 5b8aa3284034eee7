#!/bin/sh
# 1,000 echoes of each document, the large ones, too: as tests/engine/test_permessage_echoes.c says.
ECHOES=all exec build/echoes
