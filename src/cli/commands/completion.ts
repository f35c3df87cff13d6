import { defineCommand } from "../command.js"

/** What completes is asked of keyferry itself; where it has nothing to offer, the shell offers file names. */
const SCRIPTS = {
  bash: `# keyferry completion for bash
_keyferry() {
  local word begun="\${COMP_WORDS[COMP_CWORD]}"
  COMPREPLY=()
  while IFS= read -r word; do
    [[ "$word" == "$begun"* ]] && COMPREPLY+=("$(printf %q "$word")")
  done < <(SHELL=bash ZSH_NAME= keyferry --get-yargs-completions "\${COMP_WORDS[@]:0:COMP_CWORD+1}" 2>/dev/null)
}
complete -o bashdefault -o default -F _keyferry keyferry`,
  zsh: `#compdef keyferry
# keyferry completion for zsh
_keyferry() {
  local -a reply
  local IFS=$'\\n'
  reply=($(SHELL=zsh keyferry --get-yargs-completions "\${(@)words[1,CURRENT]}" 2>/dev/null))
  if (( \${#reply} )); then
    _describe 'keyferry' reply
  else
    _default
  fi
}
if [[ "\${zsh_eval_context[-1]}" == "loadautofunc" ]]; then
  _keyferry "$@"
else
  compdef _keyferry keyferry
fi`,
  fish: `# keyferry completion for fish
function __keyferry_complete
  set -l typed (commandline -opc) (commandline -ct)
  set -l offers (env SHELL=fish ZSH_NAME= keyferry --get-yargs-completions $typed 2>/dev/null)
  if test (count $offers) -gt 0
    string join \\n -- $offers
  else
    __fish_complete_path (commandline -ct)
  end
end
complete -c keyferry -f -a '(__keyferry_complete)'`,
} as const

const isShell = (word: string): word is keyof typeof SCRIPTS => Object.hasOwn(SCRIPTS, word)

export const completion = defineCommand({
  name: "completion",
  describe: "print a completion script for bash, zsh or fish",
  examples: [
    ["$0 completion bash >> ~/.bashrc", "complete commands and options in bash"],
    ["$0 completion zsh >> ~/.zshrc", "the same in zsh, after its compinit"],
    ["$0 completion fish > ~/.config/fish/completions/keyferry.fish", "the same in fish"],
  ],
  positional: { name: "shell", choices: Object.keys(SCRIPTS), describe: "default: that of SHELL, or bash" },
  options: {},
  run(args, { env }) {
    const own = (env["SHELL"] ?? "").split("/").at(-1) ?? ""
    const shellName = args["shell"] ?? own
    const shell = typeof shellName === "string" && isShell(shellName) ? shellName : "bash"
    return Promise.resolve({ result: { shell, script: SCRIPTS[shell] }, text: () => SCRIPTS[shell] })
  },
})
