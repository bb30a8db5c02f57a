# Completion of ikto for fish, as `ikto completion fish` prints it.
function __ikto_complete
    set -l words (commandline -opc) (commandline -ct)
    set -l at (math (count $words) - 1)
    for line in (env COMP_WORDS="$words" COMP_CWORD=$at _IKTO_COMPLETE=ikto_complete ikto 2>/dev/null)
        set -l parts (string split \t -- $line)
        switch $parts[1]
            case plain
                printf '%s\t%s\n' $parts[2] "$parts[3]"
            case file dir
                __fish_complete_path (commandline -ct)
        end
    end
end
complete -c ikto -f -a '(__ikto_complete)'
