/**
 * The table of conformance cases: the iommufd and VFIO selftests of Linux by their numbers, what
 * each means for a broker, and what comes out. A case that cannot apply to the emulator says why.
 * docs/CONFORMANCE.md is this table.
 */

import type { World } from './world.js'

interface Upstream {
  /** `P1`, as in the list. */
  readonly number: string
  readonly upstream: string
  /** What the kernel answers there. */
  readonly expected: string
}

export interface Applies extends Upstream {
  readonly here: string
  /** Step by step; `run` answers exactly this. */
  readonly outcome: readonly string[]
  readonly run: (world: World) => Promise<readonly string[]>
}

/** What the emulator cannot be asked. */
export interface NotHere extends Upstream {
  readonly why: string
  /** Whether test/kernel/guest/ carries it out, through the native backend or as the call stands. */
  readonly inKernel: boolean
}

export type Case = Applies | NotHere

export interface Chapter {
  readonly title: string
  readonly about: string
  readonly cases: readonly Case[]
}

/** Numbers that the table must have, each once. */
export function numbersDue(added: number): readonly string[] {
  const run = (letter: string, first: number, last: number): string[] => {
    return Array.from({ length: last - first + 1 }, (_, i) => `${letter}${first + i}`)
  }
  return [
    ...run('P', 1, 24),
    ...run('N', 1, 28),
    ...run('U', 1, 3),
    ...run('U', 5, 9),
    'U13',
    'X1',
    ...run('A', 1, added),
  ]
}

const INTRODUCTION = `# Conformance

What Linux tests of its PASID and nesting calls, and what the broker answers to the same. The numbers are those of the selftests
of iommufd and of VFIO (\`tools/testing/selftests/iommu/iommufd.c\`, \`iommufd_fail_nth.c\`, \`tools/testing/selftests/vfio/\`): P the
PASID attachments, N nesting and invalidation, U the hygiene of the calls, X the VFIO device; A are cases that upstream has no test
for. Every line is carried out by \`test/conformance/\` against a running daemon with its emulator, and its outcome compared step by
step. A case that cannot apply to the emulator says why; of these all but P20 are carried out in the real kernel, through the native
backend or as the calls stand ([KERNEL_TESTING.md](KERNEL_TESTING.md)).

How the words map: an *HWPT* is a table that a bind names by its value (nested = \`first_stage\`, the parent = \`pass_through\`; both may
stand at a PASID, as if allocated with \`IOMMU_HWPT_ALLOC_PASID\`); *attach* is \`BindPasid\`, *replace* is \`BindPasid\` with \`replace\`,
*detach* is \`UnbindPasids\`. The kernel's API answers EBUSY where something is attached, the VFIO ioctl makes a replace of it: both
are there, behind \`BindPasidRequest.replace\`. \`check: nested0\` reads the entry back from the IOMMU's table.
`

const IN_KERNEL = '; it is carried out in the real kernel'

function cell(text: string): string {
  return text.replaceAll('|', '\\|')
}

function rowOf(one: Case): string {
  const upstream = `| ${one.number} | ${cell(one.upstream)} | ${cell(one.expected)} |`
  if ('why' in one) {
    const [who, where] = one.inKernel ? [' to the emulator', IN_KERNEL] : ['', '']
    return `${upstream} does not apply${who}: ${cell(one.why)}${where} | |`
  }
  return `${upstream} ${cell(one.here)} | ${one.outcome.map(cell).join('; ')} |`
}

export function documentOf(chapters: readonly Chapter[]): string {
  const parts = chapters.map(({ title, about, cases }) => {
    const head =
      '| # | upstream | the kernel says | here | the broker says |\n|---|---|---|---|---|'
    return `## ${title}\n\n${about}\n\n${head}\n${cases.map(rowOf).join('\n')}\n`
  })
  return [INTRODUCTION, ...parts].join('\n')
}
