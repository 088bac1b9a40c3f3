/** Checks of what people have set: limits, reservations, how a VMM maps its guest's memory. */

import { RESERVED_FIRST_DEFAULT, RESERVED_LAST_DEFAULT } from '../core/limits.js'
import type { PasidRange } from '../core/range.js'
import { type Finding, ok, say } from './finding.js'
import type { HostFacts } from './host-facts.js'
import { unitsInQuestion } from './vtd-unit.js'

const GIB = 2 ** 30
const MIB = 2 ** 20

function bytesText(bytes: number): string {
  return bytes >= GIB ? `${(bytes / GIB).toFixed(1)} GiB` : `${Math.round(bytes / MIB)} MiB`
}

/** Of the process that looked; a VMM that is started alike has the same. */
export function checkMemlock({ memlock, memlockExempt, memoryBytes }: HostFacts): Finding {
  const remedy =
    "an IOAS pins the guest's memory within this limit: LimitMEMLOCK=infinity in the unit of the " +
    'VMM, ulimit -l, or /etc/security/limits.conf'
  if (memlock === undefined) {
    return say('memlock', 'UNKNOWN', '/proc/self/limits does not say it', remedy)
  }
  if (memlock === Number.POSITIVE_INFINITY) return ok('memlock', 'no limit')
  if (memlockExempt) return ok('memlock', `${bytesText(memlock)}, but CAP_IPC_LOCK is above it`)
  if (memoryBytes !== undefined && memlock >= memoryBytes) {
    return ok('memlock', `${bytesText(memlock)}, all memory of the host`)
  }
  return say('memlock', 'WARN', `${bytesText(memlock)} may be locked by this process`, remedy)
}

/** The kernel's own allocator (iommu_alloc_global_pasid) gives the lowest free number, from 1. */
export function checkWindow(
  { svaDrivers }: HostFacts,
  reservations: readonly PasidRange[] | undefined,
): Finding {
  const window = `${RESERVED_FIRST_DEFAULT} to ${RESERVED_LAST_DEFAULT}`
  const users = svaDrivers.length === 0 ? 'no driver here uses them' : svaDrivers.join(', ')
  const why = `the kernel's own PASIDs (lowest first, from 1: ${users})`
  if (reservations === undefined) {
    const found = `it is not known (no daemon answers); by default ${window} are left to ${why}`
    return say('reserved-window', 'UNKNOWN', found, 'ask again when the daemon runs')
  }
  if (isCovered(reservations)) return ok('reserved-window', `${window} are left to ${why}`)
  const found = `of ${window} not all is reserved in HOST scope for ${why}`
  if (svaDrivers.length === 0) return ok('reserved-window', found)
  const remedy =
    `add { first = ${RESERVED_FIRST_DEFAULT}, last = ${RESERVED_LAST_DEFAULT}, ` +
    'reason = "kernel" } to namespace.reservations; where both share a queue, a number must be ' +
    'of one of them only'
  return say('reserved-window', 'WARN', found, remedy)
}

function isCovered(reservations: readonly PasidRange[]): boolean {
  let next = RESERVED_FIRST_DEFAULT
  for (const { first, last } of [...reservations].sort((a, b) => a.first - b.first)) {
    if (first <= next && last >= next) next = last + 1
  }
  return next > RESERVED_LAST_DEFAULT
}

/** Which regions a VMM maps read-only is not to be seen from outside. */
export function checkReadOnly(facts: HostFacts): readonly Finding[] {
  if (!unitsInQuestion(facts).some(({ kind }) => kind === 'INTEL')) return []
  const found = 'how a VMM maps its guest is not to be seen from here'
  const remedy =
    'under a nested table Intel takes no read-only mapping (erratum 772415, applied to all): a ' +
    'VMM leaves ROM regions out of the IOAS, or maps them writable; else the parent answers EINVAL'
  return [say('read-only-regions', 'UNKNOWN', found, remedy)]
}
