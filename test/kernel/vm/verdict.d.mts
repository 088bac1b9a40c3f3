/** The types of verdict.mjs, which the script of this tier runs as it is. */
export function problemsOf(ended: {
  readonly code: number
  readonly timedOut: boolean
  readonly output: string
  readonly console: string
  readonly exitCode: string
}): readonly string[]
