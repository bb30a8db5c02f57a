# Completion of ikto for bash (4.4 or later), as `ikto completion bash` prints it.
_ikto() {
    local kind value help
    COMPREPLY=()
    while IFS=$'\t' read -r kind value help; do
        case $kind in
            file) compopt -o default; COMPREPLY=(); return ;;
            dir) compopt -o dirnames; COMPREPLY=(); return ;;
            plain) COMPREPLY+=("$value") ;;
        esac
    done < <(env COMP_WORDS="${COMP_WORDS[*]}" COMP_CWORD="$COMP_CWORD" _IKTO_COMPLETE=ikto_complete "$1" 2>/dev/null)
}
complete -o nosort -F _ikto ikto
