/**
 * Whether a host is ready for devices to be bound on it, and what can be done on one that is not.
 * The same for `pasidctl doctor` and for the start of a daemon with backend.kind = "native".
 */

import type { PasidRange } from '../core/range.js'
import * as functions from './check-functions.js'
import * as iommu from './check-iommu.js'
import * as kernel from './check-kernel.js'
import * as policy from './check-policy.js'
import { type Finding, ok, say } from './finding.js'
import type { HostFacts } from './host-facts.js'

export interface Expectations {
  /** Of HOST scope. Undefined: not known. */
  readonly reservations: readonly PasidRange[] | undefined
}

/** In the order of CHECKS, functions one after the other; those that do not apply are left out. */
export function diagnose(facts: HostFacts, { reservations }: Expectations): readonly Finding[] {
  const findings: readonly Finding[] = [
    kernel.checkVersion(facts),
    iommu.checkPresence(facts),
    ...iommu.checkMode(facts),
    ...iommu.checkScalableMode(facts),
    ...iommu.checkNested(facts),
    ...iommu.checkPasids(facts),
    kernel.checkIommufd(facts),
    ...functions.checkFunctions(facts),
    policy.checkMemlock(facts),
    kernel.checkOptions(facts),
    policy.checkWindow(facts, reservations),
    ...policy.checkReadOnly(facts),
    kernel.checkOldCalls(facts),
  ]
  return [...findings, whatIsPossible(facts, findings)]
}

const EMULATOR =
  'with backend.kind = "emulator" the daemon gives out numbers, under quota, to VMMs that attach ' +
  'them by themselves, and binds on emulated devices'

/** What a host that lacks something can do all the same. */
function whatIsPossible(facts: HostFacts, findings: readonly Finding[]): Finding {
  const failed = new Set(
    findings.filter(({ verdict }) => verdict === 'FAIL').map(({ check }) => check),
  )
  if (failed.size === 0) {
    return ok('possible', 'guest tables on PASIDs and on the RID, by devices that are handed over')
  }
  const lacks = (...checks: readonly Finding['check'][]) =>
    checks.some((check) => failed.has(check))
  if (lacks('iommu', 'iommufd')) {
    return say('possible', 'WARN', 'no device can be given away safely', `meanwhile: ${EMULATOR}`)
  }
  if (kernel.attachesPasids(facts) === false) {
    const found = 'a VMM can attach the RID of its device (iommufd), and no PASID before Linux 6.15'
    return say('possible', 'WARN', found, `until then: ${EMULATOR}`)
  }
  if (lacks('scalable-mode', 'nested-tables', 'iommu-pasids')) {
    const found = 'a VMM can attach what its IOMMU takes, without guest tables on PASIDs'
    return say('possible', 'WARN', found, `numbers only: ${EMULATOR}`)
  }
  const found = 'guest tables on PASIDs and on the RID, once the devices above are ready'
  return say('possible', 'WARN', found, 'do what is said of each')
}

/**
 * Why a daemon with backend.kind = "native" must not start here, and what to do, in lines for a
 * terminal and a log. Undefined: it may; what else was found is then worth a warning each.
 */
export function startProblems(facts: HostFacts, expected: Expectations): string | undefined {
  const findings = diagnose(facts, expected)
  const failed = findings.filter(({ stopsStart }) => stopsStart)
  if (failed.length === 0) return undefined
  const possible = findings.filter(({ check }) => check === 'possible')
  const lines = [...failed, ...possible].map(({ check, subject, found, remedy }) => {
    const what = subject === '' ? check : `${check} of ${subject}`
    return `  ${what}: ${found}\n    ${remedy}`
  })
  return `this host is not ready for backend.kind = "native":\n${lines.join('\n')}`
}
