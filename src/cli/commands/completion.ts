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
} as const

export const completion = defineCommand({
  name: "completion",
  describe: "print a completion script for bash or zsh",
  examples: [
    ["$0 completion bash >> ~/.bashrc", "complete commands and options in bash"],
    ["$0 completion zsh >> ~/.zshrc", "the same in zsh, after its compinit"],
  ],
  positional: { name: "shell", choices: Object.keys(SCRIPTS), describe: "default: that of SHELL, or bash" },
  options: {},
  run(args, { env }) {
    const shellName = args["shell"] ?? (env["SHELL"]?.endsWith("zsh") === true ? "zsh" : "bash")
    const shell = shellName === "zsh" ? "zsh" : "bash"
    return Promise.resolve({ result: { shell, script: SCRIPTS[shell] }, text: () => SCRIPTS[shell] })
  },
})
