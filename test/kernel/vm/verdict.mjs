/**
 * What was wrong with a machine that has ended, whatever its tests said. QEMU ends well after a
 * panic too, and so does a worker after the kernel has caught itself in an error: so the exit code
 * comes in a file, and the kernel's own words count.
 */

/** What a kernel says when it is broken. */
const TROUBLE = /Kernel panic|\bBUG:|\bOops:|general protection fault|\bWARNING: /
/** Of ready images only: their `edu` device claims PASIDs, and has no capability to be read. */
const KNOWN = /WARNING: \S+ at iommufd_get_hw_info\+/

/**
 * A sentence each; none: nothing was wrong. `exitCode`: what the file says, empty without one;
 * `code`, `output` and `timedOut`: of QEMU.
 */
export function problemsOf({ code, timedOut, output, console, exitCode }) {
  const problems = []
  if (timedOut) problems.push('the machine ran too long and was ended')
  else if (code !== 0) problems.push(`QEMU ended with exit code ${code}: ${output.trim()}`)
  const lines = console.split('\n').filter((line) => TROUBLE.test(line) && !KNOWN.test(line))
  for (const line of new Set(lines)) problems.push(`the kernel in the machine says: ${line.trim()}`)
  if (exitCode === '')
    problems.push('the machine left no exit code: it ended before its worker did')
  else if (exitCode !== '0') {
    problems.push(`the worker in the machine ended with exit code ${exitCode}`)
  }
  return problems
}
