# Apache's own check of its whole configuration with FILE in it, and what is wrong in one line: its last words tell nothing.
said=$(apache2ctl -t -c "Include $1" 2>&1) && exit 0
wrong=$(printf '%s\n' "$said" | sed -n -e 's,/\.qrm-new-[^/]*/,/,g' -e '/[Ss]yntax error/{s/^AH00526: //;s/^apache2: //;/:$/N;s/\n/ /;p;q}')
echo "${wrong:-$(printf '%s\n' "$said" | head -n 1)}" >&2
exit 1
