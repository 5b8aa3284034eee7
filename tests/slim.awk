# Writes ws.h without what some switches leave out; without a system, WINDOWS or LWIP; or without FIRMWARE, the variants
# of code for an engine alone and for little flash:
#     awk -v without="JSON DEFLATE LWIP" -f tests/slim.awk ws.h ws.h
# The first pass finds the switches that CONFIG names, and those that follow from the given ones. The second evaluates
# the conditions. What is known is cut or kept; a condition that depends on anything else stays, and for its sake the
# result defines the switches itself.

# One term: "1", "0", or "?" where it is not known.
function term(text,    no) {
    while (sub(/^!/, "", text)) no = !no
    return text == "?" ? text : (text == "1") != no ? "1" : "0"
}

# A condition of terms, without parentheses.
function flat(text,    ors, ands, n, m, i, j, any, all, one) {
    n = split(text, ors, /\|\|/)
    any = "0"
    for (i = 1; i <= n; i++) {
        m = split(ors[i], ands, /&&/)
        all = "1"
        for (j = 1; j <= m; j++) {
            one = term(ands[j])
            if (one == "0" || (one == "?" && all == "1")) all = one
        }
        if (all == "1" || (all == "?" && any == "0")) any = all
    }
    return any
}

# What a condition comes to. other: what a name that is not left out comes to, if it is one of ours.
function value(line, other,    text, name) {
    sub(/\/\*.*/, "", line)
    sub(/^#ifdef /, "#if defined ", line)
    sub(/^#ifndef /, "#if !defined ", line)
    sub(/^#(el)?if/, "", line)
    gsub(/[ \t]/, "", line)
    while (line != "") {
        if (match(line, /^defined\(?[A-Za-z0-9_]+\)?/)) {
            name = substr(line, 8, RLENGTH - 7)
            gsub(/[()]/, "", name)
            text = text (name in left_out ? "1" : name in absent ? "0" : name ~ /^WS_/ ? other : "?")
        } else if (match(line, /^(&&|\|\||!|\(|\))/)) {
            text = text substr(line, 1, RLENGTH)
        } else if (match(line, /^[^&|!()]+(\([^()]*\))?[^&|()]*/)) { # a comparison, or a macro's call
            text = text "?"
        } else {
            fail("slim: cannot read: " line)
        }
        line = substr(line, RLENGTH + 1)
    }
    while (match(text, /\([^()]*\)/))
        text = substr(text, 1, RSTART - 1) flat(substr(text, RSTART + 1, RLENGTH - 2)) substr(text, RSTART + RLENGTH)
    return flat(text)
}

function fail(text) {
    print text > "/dev/stderr"
    failed = 1
    exit 1
}

# Of several blank lines in a row one stays.
function out(text,    i) {
    if (pass != 2) return
    for (i = 1; i <= waiting; i++) line_out(opening[i])
    waiting = 0
    line_out(text)
}

function line_out(text) {
    if (blank) print ""
    blank = 0
    print text
}

# state[depth]: "none" of the branches so far is there, "all" of one is, "some": the condition stays, "last": it stays,
# and what comes before its #endif goes.
function begin(v, text) {
    state[depth] = v == "0" ? "none" : v == "1" ? "all" : "some"
    hidden[depth] = hidden[depth - 1] || v == "0"
    waits[depth] = 0
    if (v == "?" && !hidden[depth] && pass == 2) {
        opening[++waiting] = text # a condition that holds nothing is not written
        waits[depth] = waiting
    }
}

function branch(v, text) {
    if (state[depth] == "none") {
        sub(/^#elif/, "#if", text)
        begin(v, text)
        return
    }
    hidden[depth] = hidden[depth - 1] || state[depth] != "some" || v == "0"
    if (!hidden[depth]) out(v == "1" && text ~ /^#elif/ ? "#else" : text)
    if (state[depth] == "some" && v == "1") state[depth] = "last"
}

# Whether this line begins with a text that the manual must have.
function mark(text) {
    marks[text]
    if (index($0, text) != 1) return 0
    marked[text]
    return 1
}

# What a condition comes to in this pass: the first wants to know what is certain.
function verdict(line,    v) {
    v = value(line, pass == 1 ? "0" : "?")
    return pass == 1 && v == "?" ? "0" : v
}

BEGIN {
    variants["WINDOWS"] = "_WIN32"
    variants["LWIP"] = "WS_LWIP"
    variants["FIRMWARE"] = "WS_SMALL WS_NO_NET WS_NO_ALLOC WSI_BARE"
    count = split(toupper(without), given, /[ ,]+/)
    for (i = 1; i <= count; i++) {
        sub(/^WS_NO_/, "", given[i])
        if (given[i] in variants) {
            n = split(variants[given[i]], macros, " ")
            for (j = 1; j <= n; j++) absent[macros[j]] = 1
        } else if (given[i] != "") {
            left_out["WS_NO_" given[i]] = 1
        }
    }
    if ("WS_NO_CLIENT" in left_out) absent["WS_NO_SERVER"] = 1
    if ("WS_NO_SERVER" in left_out) absent["WS_NO_CLIENT"] = 1
}
END {
    for (text in marks) if (!(text in marked) && !failed) fail("slim: no line of ws.h begins with \"" text "\"")
    exit failed
}

FNR == 1 { pass++ }
FNR == 1 && pass == 2 {
    rest = 0 # of what WS_MINIMAL implies
    for (name in known) if (name !~ /_(NET|SERVER|ALLOC|FAST|TRANSPORT)$/ && !(name in left_out)) rest++
    if (!rest) absent["WS_MINIMAL"] = 1
    for (name in left_out)
        if (!(name in known)) unknown = unknown " " substr(name, 7)
    any = without != "" # with a client TRANSPORT has no effect
    if (!any || unknown != "") fail("slim: WITHOUT takes" names " WINDOWS LWIP FIRMWARE" \
                                        (any ? "; unknown:" unknown : ""))
}

held == "" && !/^#/ { raw = $0 }
held != "" || /^#/ { # a directive goes on behind a backslash
    raw = held == "" ? $0 : raw "\n" $0
    held = held $0
    if (sub(/\\$/, "", held)) next
    $0 = held
    held = ""
}

/^#if/ { depth++; begin(verdict($0), raw); next }
/^#elif/ { branch(verdict($0), raw); next }
/^#else/ { branch("1", raw); next }
/^#endif/ {
    if (waits[depth] && waits[depth] == waiting) waiting--
    else if (state[depth] ~ /some|last/ && !hidden[depth - 1]) out(raw)
    depth--
    next
}
pass == 2 && hidden[depth] && /^>> [A-Z0-9]+ =/ { gone[$2] = 1 }
hidden[depth] { next }
"WS_SMALL" in absent { sub(/ \(WS_SMALL: [^)]*\)/, "", raw) }
/^>> [A-Z0-9]+ =/ { banner = 1 }
/^\*\// { banner = 0 }
banner && (calls != "" || /(^| )Calls [A-Z]/) { # the sections above, without those that are gone
    raw = calls = calls == "" ? raw : calls "\n" raw
    if (calls !~ /Calls [^.]*\./) next
    for (name in gone) {
        gsub(" " name ",", "", raw)
        sub(",[ \n]+" name "\\.", ".", raw)
        sub("Calls " name "\\.", "Calls nothing.", raw)
    }
    calls = ""
}

/^>> CHANGES / { history = 1; blank = 0 } # of the whole file, not of a copy
history && /^\*\// { history = 0 }
history { next }

/^     WS_NO_[A-Z]+ / && pass == 1 { # CONFIG's manual
    known[$1] = 1
    names = names " " substr($1, 7)
}
/^     WS_[A-Z_]+ / { cut = $1 in left_out || $1 in absent }
!/^         / && !/^     WS_/ { cut = 0 }
mark("   ws.h - WebSockets") && pass == 2 { sub(/$/, "\n\n   A copy made by make slim, without\n   " without ".", raw) }
mark("   Build it with `cc ") && "WS_NO_TLS" in left_out {
    out("   Build it with `cc -O2 echo.c -o echo`. Other files include \"ws.h\" without the define.")
    cut_title = blank = 1
}
mark("                A client looks up host names") && "WS_NO_CLIENT" in left_out { next }
mark("   A client:") { cut_title = "WS_NO_CLIENT" in left_out }
mark("   FIRMWARE  ") { cut_title = "WS_SMALL" in absent || "WS_NO_ENGINE" in left_out }
/^   A port to another system/ && "_WIN32" in absent && "WS_LWIP" in absent { cut_title = 1; blank = 0 }
/^   (RULES|CONTENTS)|^\*\// { cut_title = 0 }
mark("   Add-ons: HTTP, sessions, clients, JSON, HTML, testing.") && "WS_NO_HTTP" in left_out &&
    "WS_NO_CLIENT" in left_out && "WS_NO_JSON" in left_out && "WS_NO_TEST" in left_out { next }
cut || cut_title { next }

/^#define WSI_POSIX$/ && pass == 1 && "_WIN32" in absent && "WS_LWIP" in absent && "WS_NO_NET" in absent {
    left_out[$2] = known[$2] = 1 # the one system that is left needs no condition
}
/^#(define|undef) WS_NO_/ { # a switch that follows from others
    if (pass == 1 && $1 == "#define") left_out[$2] = 1
    if (pass == 1 && $1 == "#undef") delete left_out[$2] # a #define follows, or the switch has no effect
    if ($2 in left_out) next
}
/^#define WS_VERSION / {
    out("/* Cut out of this copy: */")
    cuts = lacks = ""
    n = split(names, order, " ")
    for (i = 1; i <= n; i++)
        if (("WS_NO_" order[i]) in left_out) out("#undef WS_NO_" order[i] "\n#define WS_NO_" order[i])
    for (name in absent) if (name !~ /^(WSI_|WS_MINIMAL$)/) {
        cuts = cuts (cuts == "" ? "" : " || ") "defined(" name ")"
        lacks = lacks (lacks == "" ? "" : ", ") name
    }
    if (cuts != "") out("#if " cuts "\n#error \"made by make slim, without the code for " lacks "\"\n#endif")
    blank = 1
}
!NF { blank = pass == 2; next }
{ out(raw) }
