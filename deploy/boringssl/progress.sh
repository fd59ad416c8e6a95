#!/bin/sh
# progress.sh LOG: keep what a build prints (stdin) in LOG, and show every
# tenth part of it. Understands ninja's "[12/345]" and make's "[ 12%]".
shown=-1
: >"$1"
while IFS= read -r line; do
    printf '%s\n' "$line" >>"$1"
    case $line in
    \[*/*\]*)
        done=${line#\[}
        total=${done#*/}
        total=${total%%\]*}
        done=${done%%/*}
        ;;
    \[*%\]*)
        done=${line#\[}
        done=${done%%\%*}
        done=${done##* }
        total=100
        ;;
    *) continue ;;
    esac
    case $done$total in *[!0-9]* | '') continue ;; esac
    [ "$total" -gt 0 ] || continue
    tenth=$((done * 10 / total))
    if [ "$tenth" -gt "$shown" ]; then
        shown=$tenth
        printf -- '--   BoringSSL: %d %%\n' $((tenth * 10))
    fi
done
