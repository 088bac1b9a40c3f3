/** Checks of the IOMMU: that it is on, in which mode, and what it can do with PASIDs. */

import { type Finding, ok, say } from './finding.js'
import type { HostFacts, IommuKind, IommuUnit, Kernel } from './host-facts.js'
import { CONFIG_OPTIONS } from './read-host.js'
import { abilitiesOf, unitsInQuestion, type VtdAbilities } from './vtd-unit.js'

const KIND_TEXT: Readonly<Record<IommuKind, string>> = {
  INTEL: 'Intel VT-d',
  AMD: 'AMD',
  ARM_SMMUV3: 'ARM SMMUv3',
  VIRTIO: 'virtio-iommu',
  OTHER: 'of a kind not known here',
}

const SWITCH_ON: Readonly<Record<string, string>> = {
  DMAR: 'boot with intel_iommu=on,sm_on',
  IVRS: 'take amd_iommu=off and iommu=off from the command line',
  IORT: 'boot a kernel with CONFIG_ARM_SMMU_V3',
  VIOT: 'boot a kernel with CONFIG_VIRTIO_IOMMU',
}

const listed = (units: readonly IommuUnit[]) => units.map(({ name }) => name).join(', ')

/** `dmar0, dmar1: Intel VT-d`. */
function unitsText(units: readonly IommuUnit[]): string {
  const kinds = [...new Set(units.map(({ kind }) => kind))]
  return kinds
    .map((kind) => `${listed(units.filter((one) => one.kind === kind))}: ${KIND_TEXT[kind]}`)
    .join('; ')
}

export function checkPresence({ iommus, groupTypes, firmwareTables }: HostFacts): Finding {
  if (iommus.length > 0 && groupTypes.size > 0) return ok('iommu', unitsText(iommus))
  const found =
    iommus.length > 0
      ? `${unitsText(iommus)}, but no device is behind it: it is off`
      : 'the kernel uses no IOMMU'
  const [table] = firmwareTables
  const remedy =
    table === undefined
      ? 'the firmware describes none: switch VT-d, AMD-Vi or the SMMU on in its set-up'
      : `the firmware has one (${table}): ${SWITCH_ON[table] ?? ''}`
  return say('iommu', 'FAIL', found, remedy)
}

/** What vfio-pci has is blocked until it is attached, whatever the others' mode is. */
export function checkMode({ groupTypes }: HostFacts): readonly Finding[] {
  if (groupTypes.size === 0) return []
  const types = [...groupTypes].map(([type, count]) => `${count} ${type}`).join(', ')
  return [ok('iommu-mode', `IOMMU groups by type: ${types}`)]
}

/** As intel_iommu_setup() takes them: the last counts. Undefined: neither is there. */
function scalableOnCommandLine({ commandLine = '' }: Kernel): boolean | undefined {
  let isOn: boolean | undefined
  for (const [, words = ''] of commandLine.matchAll(/(?:^|\s)intel_iommu=(\S+)/g)) {
    for (const word of words.split(',')) {
      if (word === 'sm_on') isOn = true
      if (word === 'sm_off') isOn = false
    }
  }
  return isOn
}

const INTEL_ELSEWHERE = 'use a device behind an IOMMU that has it; else numbers only'

export function checkScalableMode(facts: HostFacts): readonly Finding[] {
  const units = unitsInQuestion(facts).filter(({ kind }) => kind === 'INTEL')
  if (units.length === 0) return []
  const unable = unitsWithout(units, ({ scalableMode }) => scalableMode)
  if (unable.length > 0) {
    const found = `${listed(unable)}: the IOMMU has no scalable mode (ECAP.SMTS)`
    return [say('scalable-mode', 'FAIL', found, INTEL_ELSEWHERE)]
  }
  const { kernel } = facts
  const told = scalableOnCommandLine(kernel)
  const byDefault = kernel.config?.get(CONFIG_OPTIONS.SCALABLE_DEFAULT)
  const remedy = 'boot with intel_iommu=on,sm_on'
  if (told === true) return [ok('scalable-mode', 'on, by intel_iommu=sm_on')]
  if (told === false) return [say('scalable-mode', 'FAIL', 'off, by intel_iommu=sm_off', remedy)]
  if (byDefault === 'y') return [ok('scalable-mode', "on, by the kernel's default")]
  if (byDefault === 'n') {
    return [say('scalable-mode', 'FAIL', "off, by the kernel's default", remedy)]
  }
  const found =
    "the IOMMU has it; whether it is on is the kernel's default, which is not to be seen"
  return [say('scalable-mode', 'UNKNOWN', found, `to be sure, ${remedy}`)]
}

function unitsWithout(
  units: readonly IommuUnit[],
  can: (abilities: VtdAbilities) => boolean,
): readonly IommuUnit[] {
  return units.filter((unit) => {
    const abilities = abilitiesOf(unit)
    return abilities !== undefined && !can(abilities)
  })
}

/** Where a guest's table cannot be put on a PASID: why, and what can be done there. */
const NOT_NESTED: Readonly<Record<Exclude<IommuKind, 'INTEL'>, string>> = {
  AMD:
    'give the guest its whole GCR3 table by the device table entry (IOMMU_HWPT_DATA_AMD_GUEST), ' +
    'and bind no PASIDs',
  ARM_SMMUV3:
    'give the guest its whole CD table by the stream table entry (IOMMU_HWPT_DATA_ARM_SMMUV3), ' +
    'and bind no PASIDs',
  VIRTIO: 'this is a guest of another host: bind on that host',
  OTHER: 'only Intel VT-d in scalable mode puts a guest table on a PASID',
}

export function checkNested(facts: HostFacts): readonly Finding[] {
  const findings: Finding[] = []
  const units = unitsInQuestion(facts)
  for (const [kind, remedy] of Object.entries(NOT_NESTED) as [IommuKind, string][]) {
    const those = units.filter((unit) => unit.kind === kind)
    // Units of a kind not known are told of only where a device is behind one, or nothing else is.
    if (those.length === 0 || (kind === 'OTHER' && those.length < units.length)) continue
    const found = `${listed(those)}: ${KIND_TEXT[kind]} nests no table per PASID`
    findings.push(say('nested-tables', 'FAIL', found, remedy))
  }
  const intel = units.filter(({ kind }) => kind === 'INTEL')
  if (intel.length === 0) return findings
  const unable = unitsWithout(intel, ({ nested }) => nested)
  const unseen = intel.filter((unit) => abilitiesOf(unit) === undefined)
  if (unable.length > 0) {
    const found = `${listed(unable)}: the IOMMU nests no tables (ECAP.NEST)`
    findings.push(say('nested-tables', 'FAIL', found, INTEL_ELSEWHERE))
  } else if (unseen.length > 0) {
    const found = `${listed(unseen)}: its registers are not in sysfs`
    findings.push(say('nested-tables', 'UNKNOWN', found, 'look with a kernel that shows them'))
  } else findings.push(ok('nested-tables', `${listed(intel)}: first stage in second stage`))
  return findings
}

export function checkPasids(facts: HostFacts): readonly Finding[] {
  const units = unitsInQuestion(facts).filter((unit) => abilitiesOf(unit) !== undefined)
  if (units.length === 0) return []
  const unable = unitsWithout(units, ({ pasidBits }) => pasidBits > 0)
  if (unable.length > 0) {
    const found = `${listed(unable)}: the IOMMU knows no PASIDs (ECAP.PASID)`
    return [say('iommu-pasids', 'FAIL', found, INTEL_ELSEWHERE)]
  }
  const widths = units.map((unit) => abilitiesOf(unit)?.pasidBits ?? 0)
  const least = Math.min(...widths)
  return [ok('iommu-pasids', `${listed(units)}: width ${least}, numbers below ${2 ** least}`)]
}
