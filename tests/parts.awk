# Writes ws.h, or helpers/calls.h, in two parts, so that many tests link one object of the functions:
#     awk -v part=code -f tests/parts.awk ws.h ws.h            what was static can be linked
#     awk -v part=declarations -f tests/parts.awk ws.h ws.h    functions without bodies, tables without values
# What is inline in ws.h stays so in both, but with -v inline=no, as does a table that gives an enum its value: the
# first pass finds these.
# No line is lost: messages and debuggers name the right ones.
NR == FNR { if (/^enum .* sizeof wsi_/) { sub(/.* sizeof [*]/, ""); sub(/ .*/, ""); measured[$0] = 1 } next }
FNR == 1 { functions = FILENAME !~ /ws\.h$/ }
/^#define WS_IMPLEMENTED$/ { functions = 1 }
!functions { print; next }
FILENAME !~ /ws\.h$/ { sub(/^static inline /, "static ") }
inline == "no" { sub(/^(static inline|WSI_INLINE) /, "static ") }
inline == "no" && /^WSI_[A-Z0-9]+ WSI_INLINE / { sub(/WSI_INLINE /, "") }
/^#define WSI_(RARE|APART|SHARED) / { sub(/static ?/, "") }
/^#define WSI_INLINE static$/ { $0 = $0 " inline" }
/^WSI_[A-Z0-9]+ static / { sub(/static /, "") }
{ bare = $0; sub(/ *\/\*.*\*\/$/, "", bare) }
cut { print ""; cut = bare !~ end; next } # the rest of a body or value
!head && !/^(static|WS_API|WSI_[A-Z0-9]+) / || /^(static inline|(WSI_[A-Z0-9]+ )?WSI_INLINE) / { print; next }
part == "code" { sub(/^static /, ""); print; next }
!head {
    body = /^[^=]*[a-z0-9_]\(/
    name = $0
    sub(/(\[| =|;).*/, "", name)
    sub(/.*[ *]/, "", name)
    if (name in measured) { print; next }
    sub(/^static /, body ? "" : "extern ")
}
{
    at = body ? match($0, /[)] [{]/) : match($0, / =( |$)/) - 1
    end = body ? "^}" : ";$"
    head = (at <= 0 && bare !~ /;$/)
    cut = (at > 0 && bare !~ (body ? "}$" : ";$"))
    print (at > 0 ? substr($0, 1, at) ";" : $0)
}
