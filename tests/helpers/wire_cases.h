/*
   The wire table: what a peer sends after the handshake, and which frames and events must follow from an endpoint that
   echoes messages. Frames are written in the language of wire.h, events as

       T text  B binary  p ping  q pong  c clean close  x unclean close

   Numbers such as "1.1.1" are those of the well-known conformance suite, whose peer closes with 1000 if the case itself
   does not close. "W" cases are ours.
*/
#ifndef WIRE_CASES_H
#define WIRE_CASES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define WIRE_END " 88<03e8>"  /* close with 1000, both ways */
#define WIRE_1002 " 88<03ea>"
#define WIRE_1007 " 88<03ef>"
#define WIRE_1009 " 88<03f1>"

typedef struct wire_case {
    const char *name, *in, *out, *events;
    uint16_t code;
    size_t piece; /* the size of TCP pieces; 0: all at once, then frame by frame and, if short, byte by byte */
} wire_case;

#define WIRE_ECHO(name, frames, out, event) {name, frames WIRE_END, out WIRE_END, event "c", 1000, 0}
#define WIRE_SAME(name, frames, event) WIRE_ECHO(name, frames, frames, event)
#define WIRE_FAIL(name, in) {name, in, WIRE_1002, "x", 1002, 0}
#define WIRE_LATE(name, in) {name, "81\"Hello\" " in, "81\"Hello\"" WIRE_1002, "Tx", 1002, 0}

/* Lengths, pings, reserved bits, reserved opcodes. */
static const wire_case wire_framing[] = {
    WIRE_SAME("1.1.1", "81", "T"), WIRE_SAME("1.1.2", "81*125", "T"), WIRE_SAME("1.1.3", "81*126", "T"),
    WIRE_SAME("1.1.4", "81*127", "T"), WIRE_SAME("1.1.5", "81*128", "T"), WIRE_SAME("1.1.6", "81*65535", "T"),
    WIRE_SAME("1.1.7", "81*65536", "T"),
    {"1.1.8", "81*65536" WIRE_END, "81*65536" WIRE_END, "Tc", 1000, 997},
    WIRE_SAME("1.2.1", "82", "B"), WIRE_SAME("1.2.2", "82#125", "B"), WIRE_SAME("1.2.3", "82#126", "B"),
    WIRE_SAME("1.2.4", "82#127", "B"), WIRE_SAME("1.2.5", "82#128", "B"), WIRE_SAME("1.2.6", "82#65535", "B"),
    WIRE_SAME("1.2.7", "82#65536", "B"),
    {"1.2.8", "82#65536" WIRE_END, "82#65536" WIRE_END, "Bc", 1000, 997},

    WIRE_ECHO("2.1", "89", "8a", "p"), WIRE_ECHO("2.2", "89\"Hello, world!\"", "8a\"Hello, world!\"", "p"),
    WIRE_ECHO("2.3", "89<00fffefdfcfb00ff>", "8a<00fffefdfcfb00ff>", "p"),
    WIRE_ECHO("2.4", "89#125", "8a#125", "p"),
    WIRE_FAIL("2.5", "89#126"),
    {"2.6", "89#125" WIRE_END, "8a#125" WIRE_END, "pc", 1000, 1},
    WIRE_ECHO("2.7", "8a", "", "q"), WIRE_ECHO("2.8", "8a\"unsolicited pong payload\"", "", "q"),
    WIRE_ECHO("2.9", "8a\"unsolicited pong payload\" 89\"ping payload\"", "8a\"ping payload\"", "qp"),
    WIRE_ECHO("2.10", "89\"0\" 89\"1\" 89\"2\" 89\"3\" 89\"4\" 89\"5\" 89\"6\" 89\"7\" 89\"8\" 89\"9\"",
              "8a\"0\" 8a\"1\" 8a\"2\" 8a\"3\" 8a\"4\" 8a\"5\" 8a\"6\" 8a\"7\" 8a\"8\" 8a\"9\"", "10p "),
    {"2.11", "10x89\"payload\"" WIRE_END, "10x8a\"payload\"" WIRE_END, "10p c", 1000, 1},

    WIRE_FAIL("3.1", "91\"small payload\""), WIRE_LATE("3.2", "a1\"Hello\" 89"),
    WIRE_LATE("3.3", "b1\"Hello\" 89"),
    WIRE_LATE("3.4", "c1\"Hello\" 89"), WIRE_FAIL("3.5", "d2<00fffefdfcfb00ff>"),
    WIRE_FAIL("3.6", "e2<00fffefdfcfb00ff>"), WIRE_FAIL("3.7", "f8"),

    WIRE_FAIL("4.1.1", "83"), WIRE_FAIL("4.1.2", "84\"reserved opcode payload\""),
    WIRE_LATE("4.1.3", "85 89"),
    WIRE_LATE("4.1.4", "86\"reserved opcode payload\" 89"),
    WIRE_LATE("4.1.5", "87\"reserved opcode payload\" 89"),
    WIRE_FAIL("4.2.1", "8b"), WIRE_FAIL("4.2.2", "8c\"reserved opcode payload\""),
    WIRE_LATE("4.2.3", "8d 89"),
    WIRE_LATE("4.2.4", "8e\"reserved opcode payload\" 89"),
    WIRE_LATE("4.2.5", "8f\"reserved opcode payload\" 89"),
};

/* 5.4, 5.5, 5.7 and 5.8 are the cases before them, split between frames and into bytes. */
static const wire_case wire_fragments[] = {
    WIRE_FAIL("5.1", "09\"fragment1\" 80\"fragment2\""), WIRE_FAIL("5.2", "0a\"fragment1\" 80\"fragment2\""),
    WIRE_ECHO("5.3", "01\"fragment1\" 80\"fragment2\"", "81\"fragment1fragment2\"", "T"),
    WIRE_ECHO("5.4", "01\"fragment1\" 80\"fragment2\"", "81\"fragment1fragment2\"", "T"),
    {"5.5", "01\"fragment1\" 80\"fragment2\"" WIRE_END, "81\"fragment1fragment2\"" WIRE_END, "Tc", 1000, 1},
    WIRE_ECHO("5.6", "01\"fragment1\" 89\"ping payload\" 80\"fragment2\"",
        "8a\"ping payload\" 81\"fragment1fragment2\"", "pT"),
    WIRE_ECHO("5.7", "01\"fragment1\" 89\"ping payload\" 80\"fragment2\"",
        "8a\"ping payload\" 81\"fragment1fragment2\"", "pT"),
    {"5.8", "01\"fragment1\" 89\"ping payload\" 80\"fragment2\"" WIRE_END,
     "8a\"ping payload\" 81\"fragment1fragment2\"" WIRE_END, "pTc", 1000, 1},
    WIRE_FAIL("5.9", "80\"non-continuation payload\" 81\"Hello\""),
    WIRE_FAIL("5.10", "80\"non-continuation payload\" 81\"Hello\""),
    {"5.11", "80\"non-continuation payload\" 81\"Hello\"", WIRE_1002, "x", 1002, 1},
    WIRE_FAIL("5.12", "00\"non-continuation payload\" 81\"Hello\""),
    WIRE_FAIL("5.13", "00\"non-continuation payload\" 81\"Hello\""),
    {"5.14", "00\"non-continuation payload\" 81\"Hello\"", WIRE_1002, "x", 1002, 1},
    {"5.15", "01\"fragment1\" 80\"fragment2\" 00\"fragment3\" 81\"fragment4\"",
        "81\"fragment1fragment2\"" WIRE_1002, "Tx", 1002, 0},
    WIRE_FAIL("5.16",
        "00\"fragment1\" 01\"fragment2\" 80\"fragment3\" 00\"fragment1\" 01\"fragment2\" 80\"fragment3\""),
    WIRE_FAIL("5.17",
        "80\"fragment1\" 01\"fragment2\" 80\"fragment3\" 80\"fragment1\" 01\"fragment2\" 80\"fragment3\""),
    WIRE_FAIL("5.18", "01\"fragment1\" 81\"fragment2\""),
    WIRE_ECHO("5.19",
        "01\"fragment1\" 00\"fragment2\" 89\"pongme 1!\" "
        "00\"fragment3\" 00\"fragment4\" 89\"pongme 2!\" 80\"fragment5\"",
              "8a\"pongme 1!\" 8a\"pongme 2!\" 81\"fragment1fragment2fragment3fragment4fragment5\"", "ppT"),
    WIRE_ECHO("5.20",
        "01\"fragment1\" 00\"fragment2\" 89\"pongme 1!\" "
        "00\"fragment3\" 00\"fragment4\" 89\"pongme 2!\" 80\"fragment5\"",
              "8a\"pongme 1!\" 8a\"pongme 2!\" 81\"fragment1fragment2fragment3fragment4fragment5\"", "ppT"),
};

#define WIRE_KOSME "<cebae1bdb9cf83cebcceb5>"
#define WIRE_MIXED "\"Hello-\"<c2b5>\"@\"<c39fc3b6c3a4c3bcc3a0c3a1>\"-UTF-8!!\""

/* 6.4.3 and 6.4.4 send part of a frame: see test_engine_wire.c. */
static const wire_case wire_utf8_fragments[] = {
    WIRE_SAME("6.1.1", "81", "T"), WIRE_ECHO("6.1.2", "01 00 80", "81", "T"),
    WIRE_ECHO("6.1.3", "01 00\"middle frame payload\" 80", "81\"middle frame payload\"", "T"),
    WIRE_SAME("6.2.1", "81" WIRE_MIXED, "T"),
    WIRE_ECHO("6.2.2", "01\"Hello-\"<c2b5>\"@\"<c39fc3b6c3a4> 80<c3bcc3a0c3a1>\"-UTF-8!!\"", "81" WIRE_MIXED,
        "T"),
    WIRE_ECHO("6.2.3", "01\"-\" 00<c2> 00<b5> 00\"@\" 00<c3> 00<9f> 00<c3> 00<b6> 80\"!\"",
        "81\"-\"<c2b5>\"@\"<c39fc3b6>\"!\"", "T"),
    WIRE_ECHO("6.2.4", "01<ce> 00<ba> 00<e1> 00<bd> 00<b9> 00<cf> 00<83> 00<ce> 00<bc> 00<ce> 00<b5> 80",
        "81" WIRE_KOSME, "T"),
    {"6.3.1", "81" WIRE_KOSME "<eda080>\"edited\"", WIRE_1007, "x", 1007, 0},
    {"6.3.2", "01<ce> 00<ba> 00<e1> 00<bd> 00<b9> 00<ed> 00<a0> 00<80> 80\"e\"", WIRE_1007, "x", 1007, 0},
    {"6.4.1", "01" WIRE_KOSME " 00<f4908080>", WIRE_1007, "x", 1007, 0},
    {"6.4.2", "01" WIRE_KOSME "<f4> 00<90>", WIRE_1007, "x", 1007, 0},
};

/* Whole text messages: the payload in hex, and whether it is UTF-8. */
typedef struct wire_text {
    const char *name, *hex;
    bool valid;
} wire_text;

static const wire_text wire_texts[] = {
    {"6.5.1", "68656c6c6f24776f726c64", true}, {"6.5.2", "68656c6c6fc2a2776f726c64", true},
    {"6.5.3", "68656c6c6fe282ac776f726c64", true}, {"6.5.4", "68656c6c6ff0a4ada2776f726c64", true},
    {"6.5.5", "cebae1bdb9cf83cebcceb5", true},
    {"6.6.1", "ce", false}, {"6.6.2", "ceba", true}, {"6.6.3", "cebae1", false}, {"6.6.4", "cebae1bd", false},
    {"6.6.5", "cebae1bdb9", true}, {"6.6.6", "cebae1bdb9cf", false}, {"6.6.7", "cebae1bdb9cf83", true},
    {"6.6.8", "cebae1bdb9cf83ce", false}, {"6.6.9", "cebae1bdb9cf83cebc", true},
    {"6.6.10", "cebae1bdb9cf83cebcce", false},
    {"6.6.11", "cebae1bdb9cf83cebcceb5", true},
    {"6.7.1", "00", true}, {"6.7.2", "c280", true}, {"6.7.3", "e0a080", true}, {"6.7.4", "f0908080", true},
    {"6.8.1", "f888808080", false}, {"6.8.2", "fc8480808080", false},
    {"6.9.1", "7f", true}, {"6.9.2", "dfbf", true}, {"6.9.3", "efbfbf", true}, {"6.9.4", "f48fbfbf", true},
    {"6.10.1", "f7bfbfbf", false}, {"6.10.2", "fbbfbfbfbf", false}, {"6.10.3", "fdbfbfbfbfbf", false},
    {"6.11.1", "ed9fbf", true}, {"6.11.2", "ee8080", true}, {"6.11.3", "efbfbd", true},
    {"6.11.4", "f48fbfbf", true},
    {"6.11.5", "f4908080", false},
    {"6.12.1", "80", false}, {"6.12.2", "bf", false}, {"6.12.3", "80bf", false}, {"6.12.4", "80bf80", false},
    {"6.12.5", "80bf80bf", false}, {"6.12.6", "80bf80bf80", false}, {"6.12.7", "80bf80bf80bf", false},
    {"6.12.8", "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f"
               "a0a1a2a3a4a5a6a7a8a9aaabacadaeafb0b1b2b3b4b5b6b7b8b9babbbcbdbebf", false},
    {"6.13.1", "c020c120c220c320c420c520c620c720c820c920ca20cb20cc20cd20ce20cf20"
               "d020d120d220d320d420d520d620d720d820d920da20db20dc20dd20de20df20", false},
    {"6.13.2", "e020e120e220e320e420e520e620e720e820e920ea20eb20ec20ed20ee20ef20", false},
    {"6.13.3", "f020f120f220f320f420f520f620f720", false}, {"6.13.4", "f820f920fa20fb20", false},
    {"6.13.5", "fc20fd20", false},
    {"6.14.1", "c0", false}, {"6.14.2", "e080", false}, {"6.14.3", "f08080", false},
    {"6.14.4", "f8808080", false},
    {"6.14.5", "fc80808080", false}, {"6.14.6", "df", false}, {"6.14.7", "efbf", false},
    {"6.14.8", "f7bfbf", false},
    {"6.14.9", "fbbfbfbf", false}, {"6.14.10", "fdbfbfbfbf", false},
    {"6.15.1", "c0e080f08080f8808080fc80808080dfefbff7bfbffbbfbfbffdbfbfbfbf", false},
    {"6.16.1", "fe", false}, {"6.16.2", "ff", false}, {"6.16.3", "fefeffff", false},
    {"6.17.1", "c0af", false}, {"6.17.2", "e080af", false}, {"6.17.3", "f08080af", false},
    {"6.17.4", "f8808080af", false},
    {"6.17.5", "fc80808080af", false},
    {"6.18.1", "c1bf", false}, {"6.18.2", "e09fbf", false}, {"6.18.3", "f08fbfbf", false},
    {"6.18.4", "f887bfbfbf", false},
    {"6.18.5", "fc83bfbfbfbf", false},
    {"6.19.1", "c080", false}, {"6.19.2", "e08080", false}, {"6.19.3", "f0808080", false},
    {"6.19.4", "f880808080", false},
    {"6.19.5", "fc8080808080", false},
    {"6.20.1", "eda080", false}, {"6.20.2", "edadbf", false}, {"6.20.3", "edae80", false},
    {"6.20.4", "edafbf", false},
    {"6.20.5", "edb080", false}, {"6.20.6", "edbe80", false}, {"6.20.7", "edbfbf", false},
    {"6.21.1", "eda080edb080", false}, {"6.21.2", "eda080edbfbf", false}, {"6.21.3", "edadbfedb080", false},
    {"6.21.4", "edadbfedbfbf", false}, {"6.21.5", "edae80edb080", false}, {"6.21.6", "edae80edbfbf", false},
    {"6.21.7", "edafbfedb080", false}, {"6.21.8", "edafbfedbfbf", false},
    {"6.22.1", "efbfbe", true}, {"6.22.2", "efbfbf", true}, {"6.22.3", "f09fbfbe", true},
    {"6.22.4", "f09fbfbf", true},
    {"6.22.5", "f0afbfbe", true}, {"6.22.6", "f0afbfbf", true}, {"6.22.7", "f0bfbfbe", true},
    {"6.22.8", "f0bfbfbf", true},
    {"6.22.9", "f18fbfbe", true}, {"6.22.10", "f18fbfbf", true}, {"6.22.11", "f19fbfbe", true},
    {"6.22.12", "f19fbfbf", true},
    {"6.22.13", "f1afbfbe", true}, {"6.22.14", "f1afbfbf", true}, {"6.22.15", "f1bfbfbe", true},
    {"6.22.16", "f1bfbfbf", true},
    {"6.22.17", "f28fbfbe", true}, {"6.22.18", "f28fbfbf", true}, {"6.22.19", "f29fbfbe", true},
    {"6.22.20", "f29fbfbf", true},
    {"6.22.21", "f2afbfbe", true}, {"6.22.22", "f2afbfbf", true}, {"6.22.23", "f2bfbfbe", true},
    {"6.22.24", "f2bfbfbf", true},
    {"6.22.25", "f38fbfbe", true}, {"6.22.26", "f38fbfbf", true}, {"6.22.27", "f39fbfbe", true},
    {"6.22.28", "f39fbfbf", true},
    {"6.22.29", "f3afbfbe", true}, {"6.22.30", "f3afbfbf", true}, {"6.22.31", "f3bfbfbe", true},
    {"6.22.32", "f3bfbfbf", true},
    {"6.22.33", "f48fbfbe", true}, {"6.22.34", "f48fbfbf", true},
    {"6.23.1", "efbfb9", true}, {"6.23.2", "efbfba", true}, {"6.23.3", "efbfbb", true},
    {"6.23.4", "efbfbc", true},
    {"6.23.5", "efbfbd", true}, {"6.23.6", "efbfbe", true}, {"6.23.7", "efbfbf", true},
};

static const wire_case wire_closing[] = {
    WIRE_SAME("7.1.1", "81\"Hello World!\"", "T"),
    {"7.1.2", "88<03e8> 88<03e8>", WIRE_END, "c", 1000, 0}, {"7.1.3", "88<03e8> 89", WIRE_END, "c", 1000, 0},
    {"7.1.4", "88<03e8> 81\"Hello World!\"", WIRE_END, "c", 1000, 0},
    {"7.1.5", "01\"fragment1\" 88<03e8> 80\"fragment2\"", WIRE_END, "c", 1000, 0},
    {"7.1.6", "81*262144 81\"Hello World!\" 88<03e8> 89", "81*262144 81\"Hello World!\"" WIRE_END, "TTc",
        1000, 0},
    {"7.3.1", "88", "88", "c", 1005, 0}, WIRE_FAIL("7.3.2", "88\"a\""),
    {"7.3.3", "88<03e8>", WIRE_END, "c", 1000, 0},
    /* RFC 6455 5.5.1: the answer has the code of the peer's close; its reason, too, which browsers show */
    {"7.3.4", "88<03e8>\"Hello World!\"", "88<03e8>\"Hello World!\"", "c", 1000, 0},
    {"7.3.5", "88<03e8>*123", "88<03e8>*123", "c", 1000, 0},
    WIRE_FAIL("7.3.6", "88<03e8>*124"),
    {"7.5.1", "88<03e8>" WIRE_KOSME "<eda080>\"edited\"", WIRE_1007, "x", 1007, 0},
};

/* A close frame with this code: it comes back, or is an error. */
typedef struct wire_code {
    const char *name;
    uint16_t code;
    bool legal;
} wire_code;

static const wire_code wire_codes[] = {
    {"7.7.1", 1000, true}, {"7.7.2", 1001, true}, {"7.7.3", 1002, true}, {"7.7.4", 1003, true},
    {"7.7.5", 1007, true},
    {"7.7.6", 1008, true}, {"7.7.7", 1009, true}, {"7.7.8", 1010, true}, {"7.7.9", 1011, true},
    {"7.7.10", 3000, true},
    {"7.7.11", 3999, true}, {"7.7.12", 4000, true}, {"7.7.13", 4999, true},
    {"7.9.1", 0, false}, {"7.9.2", 999, false}, {"7.9.3", 1004, false}, {"7.9.4", 1005, false},
    {"7.9.5", 1006, false},
    {"7.9.6", 1016, false}, {"7.9.7", 1100, false}, {"7.9.8", 2000, false}, {"7.9.9", 2999, false},
    {"7.13.1", 5000, false}, {"7.13.2", 65535, false},
    {"W close code 1012", 1012, true}, {"W close code 1013", 1013, true}, {"W close code 1014", 1014, true},
    {"W close code 1015", 1015, false}, {"W close code 1", 1, false}, {"W close code 32768", 32768, false},
};

#define WIRE_PIECES(name, opcode, kind, piece, times, whole, event) \
    {name, "0" opcode kind piece " " times "x00" kind piece " 80" kind piece WIRE_END, \
     "8" opcode kind whole WIRE_END, event "c", 1000, 0}
#define WIRE_CHOP(name, chop, frame, event) {name, frame WIRE_END, frame WIRE_END, event, 1000, chop}
#define WIRE_TRIPS(name, frame, event) \
    {name, "1000x" frame WIRE_END, "1000x" frame WIRE_END, "1000" event " c", 1000, 0}

static const wire_case wire_limits[] = {
    WIRE_SAME("9.1.1", "81*65536", "T"), WIRE_SAME("9.1.2", "81*262144", "T"),
    WIRE_SAME("9.1.3", "81*1048576", "T"),
    WIRE_SAME("9.1.4", "81*4194304", "T"), WIRE_SAME("9.1.5", "81*8388608", "T"),
    WIRE_SAME("9.1.6", "81*16777216", "T"),
    WIRE_SAME("9.2.1", "82#65536", "B"), WIRE_SAME("9.2.2", "82#262144", "B"),
    WIRE_SAME("9.2.3", "82#1048576", "B"),
    WIRE_SAME("9.2.4", "82#4194304", "B"), WIRE_SAME("9.2.5", "82#8388608", "B"),
    WIRE_SAME("9.2.6", "82#16777216", "B"),
    WIRE_PIECES("9.3.1", "1", "*", "64", "65534", "4194304", "T"),
    WIRE_PIECES("9.3.2", "1", "*", "256", "16382", "4194304", "T"),
    WIRE_PIECES("9.3.3", "1", "*", "1024", "4094", "4194304", "T"),
    WIRE_PIECES("9.3.4", "1", "*", "4096", "1022", "4194304", "T"),
    WIRE_PIECES("9.3.5", "1", "*", "16384", "254", "4194304", "T"),
    WIRE_PIECES("9.3.6", "1", "*", "65536", "62", "4194304", "T"),
    WIRE_PIECES("9.3.7", "1", "*", "262144", "14", "4194304", "T"),
    WIRE_PIECES("9.3.8", "1", "*", "1048576", "2", "4194304", "T"),
    WIRE_ECHO("9.3.9", "01*4194304 80", "81*4194304", "T"),
    WIRE_PIECES("9.4.1", "2", "#", "64", "65534", "4194304", "B"),
    WIRE_PIECES("9.4.2", "2", "#", "256", "16382", "4194304", "B"),
    WIRE_PIECES("9.4.3", "2", "#", "1024", "4094", "4194304", "B"),
    WIRE_PIECES("9.4.4", "2", "#", "4096", "1022", "4194304", "B"),
    WIRE_PIECES("9.4.5", "2", "#", "16384", "254", "4194304", "B"),
    WIRE_PIECES("9.4.6", "2", "#", "65536", "62", "4194304", "B"),
    WIRE_PIECES("9.4.7", "2", "#", "262144", "14", "4194304", "B"),
    WIRE_PIECES("9.4.8", "2", "#", "1048576", "2", "4194304", "B"),
    WIRE_ECHO("9.4.9", "02#4194304 80", "82#4194304", "B"),
    WIRE_CHOP("9.5.1", 64, "81*1048576", "Tc"), WIRE_CHOP("9.5.2", 128, "81*1048576", "Tc"),
    WIRE_CHOP("9.5.3", 256, "81*1048576", "Tc"), WIRE_CHOP("9.5.4", 512, "81*1048576", "Tc"),
    WIRE_CHOP("9.5.5", 1024, "81*1048576", "Tc"), WIRE_CHOP("9.5.6", 2048, "81*1048576", "Tc"),
    WIRE_CHOP("9.6.1", 64, "82#1048576", "Bc"), WIRE_CHOP("9.6.2", 128, "82#1048576", "Bc"),
    WIRE_CHOP("9.6.3", 256, "82#1048576", "Bc"), WIRE_CHOP("9.6.4", 512, "82#1048576", "Bc"),
    WIRE_CHOP("9.6.5", 1024, "82#1048576", "Bc"), WIRE_CHOP("9.6.6", 2048, "82#1048576", "Bc"),
    WIRE_TRIPS("9.7.1", "81", "T"), WIRE_TRIPS("9.7.2", "81*16", "T"), WIRE_TRIPS("9.7.3", "81*64", "T"),
    WIRE_TRIPS("9.7.4", "81*256", "T"), WIRE_TRIPS("9.7.5", "81*1024", "T"),
    WIRE_TRIPS("9.7.6", "81*4096", "T"),
    WIRE_TRIPS("9.8.1", "82", "B"), WIRE_TRIPS("9.8.2", "82#16", "B"), WIRE_TRIPS("9.8.3", "82#64", "B"),
    WIRE_TRIPS("9.8.4", "82#256", "B"), WIRE_TRIPS("9.8.5", "82#1024", "B"),
    WIRE_TRIPS("9.8.6", "82#4096", "B"),
    WIRE_ECHO("10.1.1", "01*1300 49x00*1300 80*536", "81*65536", "T"),
};

/* What the suite does not test, and each rule of RFC 6455 5, 7 and 8 without a case above. */
static const wire_case wire_own[] = {
    WIRE_FAIL("W wrong mask on text", "!81\"Hello\""), WIRE_FAIL("W wrong mask on an empty text", "!81"),
    WIRE_FAIL("W wrong mask on ping", "!89\"Hello\""), WIRE_FAIL("W wrong mask on close", "!88<03e8>"),
    WIRE_LATE("W wrong mask on the second message", "!81\"Hello\""),
    WIRE_FAIL("W wrong mask on a continuation", "01\"a\" !80\"b\""),
    WIRE_FAIL("W wrong mask on 64 KiB", "!82#65536"),
    WIRE_FAIL("W 0 in 16 bits", "~81"), WIRE_FAIL("W 1 in 16 bits", "~81\"a\""),
    WIRE_FAIL("W 125 in 16 bits", "~82#125"),
    WIRE_FAIL("W 0 in 64 bits", "^81"), WIRE_FAIL("W 125 in 64 bits", "^82#125"),
    WIRE_FAIL("W 126 in 64 bits", "^82#126"),
    WIRE_FAIL("W 65535 in 64 bits", "^82#65535"),
    WIRE_FAIL("W continuation of 1 in 16 bits", "01\"a\" ~80\"b\""),
    WIRE_FAIL("W continuation of 300 in 64 bits", "02\"a\" ^80#300"),
    WIRE_FAIL("W ping of 5 in 16 bits", "~89\"Hello\""),
    WIRE_FAIL("W ping of 5 in 64 bits", "^89\"Hello\""), WIRE_FAIL("W close of 2 in 16 bits", "~88<03e8>"),
    WIRE_FAIL("W 2^63", "82@8000000000000000"), WIRE_FAIL("W 2^64-4", "82@fffffffffffffffc"),
    WIRE_FAIL("W 2^64-1", "82@ffffffffffffffff"), WIRE_FAIL("W ping of 2^63", "89@8000000000000000"),
    WIRE_FAIL("W ping of 126", "89*126"), WIRE_FAIL("W pong of 126", "8a*126"),
    WIRE_FAIL("W close of 126", "88<03e8>*124"),
    WIRE_FAIL("W ping of 65536", "89*65536"), WIRE_ECHO("W pong of 125", "8a#125", "", "q"),
    WIRE_FAIL("W ping with RSV1", "c9\"a\""), WIRE_FAIL("W pong with RSV1", "ca\"a\""),
    WIRE_FAIL("W close with RSV1", "c8<03e8>"),
    WIRE_FAIL("W ping with RSV2", "a9\"a\""), WIRE_FAIL("W ping with RSV3", "99\"a\""),
    WIRE_FAIL("W continuation with RSV1", "01\"a\" c0\"b\""),
    WIRE_FAIL("W continuation with RSV2", "01\"a\" a0\"b\""),
    WIRE_FAIL("W first fragment with RSV1", "41\"a\" 80\"b\""),
    WIRE_FAIL("W unfinished continuation with RSV1", "01\"a\" 40\"b\" 80"),
    WIRE_FAIL("W close without FIN", "08<03e8>"),
    WIRE_FAIL("W ping without FIN in a message", "01\"a\" 09\"b\" 80"),
    WIRE_FAIL("W binary inside text", "01\"a\" 82\"b\""),
    WIRE_FAIL("W binary begins inside text", "01\"a\" 02\"b\" 80"),
    WIRE_FAIL("W text inside binary", "02\"a\" 81\"b\""),
    WIRE_FAIL("W message behind an empty fragment", "01 81\"b\""),
    WIRE_LATE("W orphan continuation behind a message", "80\"b\""),
    WIRE_LATE("W orphan empty continuation", "00"),
    WIRE_ECHO("W fragments of binary", "02<ff> 00<00> 80<80>", "82<ff0080>", "B"),
    WIRE_ECHO("W 1000 empty fragments", "01\"a\" 1000x00 80\"b\"", "81\"ab\"", "T"),
    WIRE_ECHO("W 1000 empty fragments first", "02 1000x00 80\"b\"", "82\"b\"", "B"),
    WIRE_ECHO("W only empty fragments", "01 1000x00 80", "81", "T"),
    WIRE_ECHO("W 300 fragments of one byte", "01*1 298x00*1 80*1", "81*300", "T"),
    WIRE_ECHO("W pings and pongs between all fragments",
        "89\"1\" 01\"a\" 89\"2\" 8a\"x\" 00\"b\" 89 80\"c\" 89\"3\"",
              "8a\"1\" 8a\"2\" 8a 81\"abc\" 8a\"3\"", "ppqpTp"),
    WIRE_ECHO("W ping of 125 between fragments", "02#200 89#125 00#200 89#125 80#200", "8a#125 8a#125 82#600",
        "ppB"),
    WIRE_ECHO("W messages of both types in turn", "81\"a\" 82<ff> 01\"b\" 80\"c\" 02<fe> 80<fd> 81",
        "81\"a\" 82<ff> 81\"bc\" 82<fefd> 81", "TBTBT"),
    WIRE_ECHO("W text with zero bytes", "81<006100>", "81<006100>", "T"),
    WIRE_ECHO("W a character over four fragments", "01<f0> 00<9f> 00<98> 80<80>", "81<f09f9880>", "T"),
    WIRE_ECHO("W a character cut by a ping", "01<e2> 89<ff> 80<82ac>", "8a<ff> 81<e282ac>", "pT"),
    WIRE_ECHO("W a character over empty fragments", "01<e2> 00 00<82> 00 80<ac>", "81<e282ac>", "T"),
    {"W text ends inside a character", "81\"a\"<e282>", WIRE_1007, "x", 1007, 0},
    {"W fragmented text ends inside a character", "01<e2> 80<82>", WIRE_1007, "x", 1007, 0},
    {"W empty last fragment inside a character", "01<e282> 80", WIRE_1007, "x", 1007, 0},
    {"W the next text does not heal a character", "81<e2> 81<82ac>", WIRE_1007, "x", 1007, 0},
    {"W bad text behind a good message", "81\"Hello\" 81<ff> 89", "81\"Hello\"" WIRE_1007, "Tx", 1007, 0},
    WIRE_SAME("W anything goes in binary", "82<fffec080eda080>", "B"),
    WIRE_ECHO("W anything goes in a ping", "89<ff>", "8a<ff>", "p"),
    {"W bad text in a close reason", "88<03e8ff>", WIRE_1007, "x", 1007, 0},
    {"W close reason ends inside a character", "88<03e8e282>", WIRE_1007, "x", 1007, 0},
    WIRE_FAIL("W bad code with a reason", "88<03ed>\"no\""),
    WIRE_FAIL("W code 1006 with a reason", "88<03ee>\"no\""),
    {"W 123 bytes of UTF-8 reason", "88<03e8>*121<c3a9>", "88<03e8>*121<c3a9>", "c", 1000, 0},
    {"W close 1001 going away", "88<03e9>\"bye\"", "88<03e9>\"bye\"", "c", 1001, 0},
    {"W empty close behind a message", "82<00> 88", "82<00> 88", "Bc", 1005, 0},
    {"W nothing after a close is read", "88<03e8> ff 81<ff> !81", WIRE_END, "c", 1000, 0},
    {"W an error ends all", "83 81\"Hello\" 89 88<03e8>", WIRE_1002, "x", 1002, 0},
    {"W over the limit by one byte", "82@1000001", WIRE_1009, "x", 1009, 0},
    {"W 2^31-1", "82@7fffffff", WIRE_1009, "x", 1009, 0}, {"W 2^31", "82@80000000", WIRE_1009, "x", 1009, 0},
    {"W 2^31+1", "82@80000001", WIRE_1009, "x", 1009, 0},
    {"W 2^32-1", "82@ffffffff", WIRE_1009, "x", 1009, 0},
    {"W 2^32", "82@100000000", WIRE_1009, "x", 1009, 0},
    {"W 2^32+1", "81@100000001", WIRE_1009, "x", 1009, 0},
    {"W 2^63-1", "82@7fffffffffffffff", WIRE_1009, "x", 1009, 0},
    {"W continuation over the limit", "02#100 80@ffff9d", WIRE_1009, "x", 1009, 0},
    {"W continuation of 2^32-100", "02#100 80@ffffff9c", WIRE_1009, "x", 1009, 0},
    {"W continuation of 2^63-1", "02#100 00@7fffffffffffffff", WIRE_1009, "x", 1009, 0},
    WIRE_FAIL("W continuation of 2^64-100", "02#100 80@ffffffffffffff9c"),
    WIRE_FAIL("W continuation of 2^64-1", "02#1 80@ffffffffffffffff"),
    WIRE_FAIL("W orphan continuation over the limit", "80@7fffffffffffffff"),
};

/* Runs every case: the tables, and one case for each text and each close code. */
static inline void wire_run_all(void (*run)(const wire_case *c)) {
    static const struct { const wire_case *cases; size_t count; } tables[] = {
        {wire_framing, sizeof wire_framing / sizeof *wire_framing},
        {wire_fragments, sizeof wire_fragments / sizeof *wire_fragments},
        {wire_utf8_fragments, sizeof wire_utf8_fragments / sizeof *wire_utf8_fragments},
        {wire_closing, sizeof wire_closing / sizeof *wire_closing},
        {wire_limits, sizeof wire_limits / sizeof *wire_limits},
        {wire_own, sizeof wire_own / sizeof *wire_own},
    };
    size_t i, j;
    char in[200];
    wire_case c;
    for (i = 0; i < sizeof tables / sizeof *tables; i++)
        for (j = 0; j < tables[i].count; j++)
            run(&tables[i].cases[j]);
    memset(&c, 0, sizeof c);
    for (i = 0; i < sizeof wire_texts / sizeof *wire_texts; i++) {
        bool valid = wire_texts[i].valid;
        (void)snprintf(in, sizeof in, "81<%s>%s", wire_texts[i].hex, valid ? WIRE_END : "");
        c.name = wire_texts[i].name;
        c.in = in;
        c.out = valid ? in : WIRE_1007;
        c.events = valid ? "Tc" : "x";
        c.code = valid ? 1000 : 1007;
        run(&c);
    }
    for (i = 0; i < sizeof wire_codes / sizeof *wire_codes; i++) {
        bool legal = wire_codes[i].legal;
        (void)snprintf(in, sizeof in, "88<%04x>", (unsigned)wire_codes[i].code);
        c.name = wire_codes[i].name;
        c.in = in;
        c.out = legal ? in : WIRE_1002;
        c.events = legal ? "c" : "x";
        c.code = legal ? wire_codes[i].code : 1002;
        run(&c);
    }
}

#endif
