/** All rules over a tree of files, and how a violation reads. */
import { checkArrows, checkCycles, checkDead, checkTests } from './rules-imports.js'
import { checkFiles } from './rules-text.js'
import type { Tree, Violation } from './tree.js'

export const RULES = { checkArrows, checkCycles, checkDead, checkFiles, checkTests }

export function format({ file, line, rule, message }: Violation): string {
  return `${file}:${String(line)}: ${rule}: ${message}`
}

/** Every violation in the tree, as a line each. */
export function checkAll(tree: Tree): readonly string[] {
  return Object.values(RULES).flatMap((rule) => rule(tree).map(format))
}
