/**
 * How software changes what leads to page tables in a trace: PASID entries, directory entries,
 * context entries, root entries.
 */
import {
  contextNeeds,
  entryNeeds,
  groupNeeds,
  newContextNeeds,
  newEntryNeeds,
  rootNeeds,
} from './trace-needs.js'
import {
  chooseTables,
  domainsOf,
  entryAt,
  ODD_STATES,
  rootIndex,
  writeContext,
  writeEntry,
  writeGroup,
  writeRoot,
  type Change,
  type Device,
  type Entry,
  type EntryType,
  type World,
} from './trace-world.js'

/** Changes the entry of the PASID in the device's directory. Nothing on the way is broken. */
export function changeEntry(world: World, device: Device, pasid: number): Change | undefined {
  const entry = entryAt(world, device.directory, pasid)
  if (entry === undefined) return undefined
  const { random } = world
  if (entry.state === 'ABSENT') return addEntry(world, entry)
  const needs = entryNeeds(world, entry)
  const kind = random.below(10)
  if (kind < 2) return setState(world, entry, needs)
  if (kind === 2) return spoilEntry(world, entry, needs)
  if (kind === 3) return loseEntry(world, entry, needs)
  const what = kind < 6 ? switchTables(world, entry) : switchFlags(world, entry)
  if (what === undefined) return undefined
  writeEntry(world, entry)
  return { text: `${nameOf(entry)}: ${what}`, needs }
}

function nameOf({ pasid, domain, type }: Entry): string {
  return `PASID entry ${pasid} (${type}, DID ${domain})`
}

function setState(world: World, entry: Entry, needs: Change['needs']): Change {
  entry.state = 'ABSENT'
  writeEntry(world, entry)
  return { text: `${nameOf(entry)}: removed`, needs }
}

function addEntry(world: World, entry: Entry): Change {
  const { random } = world
  const types: readonly EntryType[] = ['FIRST', 'SECOND', 'NESTED', entry.type]
  if (random.percent(50)) chooseTables(world, entry, random.pick(types))
  entry.state = 'PRESENT'
  writeEntry(world, entry)
  return { text: `${nameOf(entry)}: added`, needs: newEntryNeeds(world, entry) }
}

function switchTables(world: World, entry: Entry): string | undefined {
  const { random } = world
  if (random.percent(50)) {
    const type = random.percent(70)
      ? entry.type
      : random.pick(['FIRST', 'SECOND', 'NESTED'] as const)
    return chooseTables(world, entry, type) ? 'other tables' : undefined
  }
  const domain = random.pick(domainsOf(world, entry.type, entry.second))
  const taken = world.entries.some((other) => {
    return other.pasid === entry.pasid && other.domain === domain
  })
  if (taken) return undefined
  entry.domain = domain
  return 'another domain'
}

function switchFlags(world: World, entry: Entry): string {
  const { random, options } = world
  const kind = random.below(4)
  if (kind === 0) entry.silenced = !entry.silenced
  else if (kind === 1 && options.extendedAccessed) entry.extended = !entry.extended
  else if (kind === 2 && options.supervisorRequests) entry.writeProtect = !entry.writeProtect
  else if (options.supervisorRequests) entry.supervisor = !entry.supervisor
  const { silenced, extended, writeProtect, supervisor } = entry
  return `FPD ${silenced}, EAFE ${extended}, WPE ${writeProtect}, SRE ${supervisor}`
}

/** Wrong fields that a unit must refuse, by where they are. */
function chooseSpoil(world: World, entry: Entry): (words: bigint[]) => void {
  const { random, options } = world
  const set = (at: number, bits: bigint) => {
    return (words: bigint[]): void => {
      words[at] = (words[at] ?? 0n) | bits
    }
  }
  const put = (at: number, mask: bigint, value: bigint) => {
    return (words: bigint[]): void => {
      words[at] = ((words[at] ?? 0n) & ~mask) | value
    }
  }
  const spoils = [
    set(0, random.pick([1n << 5n, 1n << 10n, 1n << 11n])),
    set(1, 1n << BigInt(16 + random.below(7))),
    set(3 + random.below(5), 1n << BigInt(random.below(64))),
    put(0, 7n << 6n, random.pick([0n, 5n, 6n, 7n]) << 6n),
  ]
  if (entry.second !== undefined) spoils.push(put(0, 7n << 2n, random.pick([0n, 4n, 7n]) << 2n))
  if (entry.first !== undefined) {
    spoils.push(set(2, random.pick([1n << 1n, 1n << 5n, 1n << 6n, 1n << 8n, 1n << 11n])))
    spoils.push(put(2, 3n << 2n, random.pick(options.fiveLevels ? [2n, 3n] : [1n, 2n, 3n]) << 2n))
    if (!options.supervisorRequests) spoils.push(set(2, random.pick([1n, 16n])))
    if (!options.extendedAccessed) spoils.push(set(2, 128n))
  }
  return random.pick(spoils)
}

function spoilEntry(world: World, entry: Entry, needs: Change['needs']): Change {
  entry.state = 'WRONG'
  entry.spoil = chooseSpoil(world, entry)
  writeEntry(world, entry)
  world.broken = () => {
    entry.state = 'PRESENT'
    writeEntry(world, entry)
    return { text: `${nameOf(entry)}: made good`, needs: newEntryNeeds(world, entry) }
  }
  return { text: `${nameOf(entry)}: a field is wrong`, needs }
}

function loseEntry(world: World, entry: Entry, needs: Change['needs']): Change | undefined {
  // A domain of a second stage has one table, for all of its entries.
  const { domain } = entry
  const shared = world.entries.some((other) => other !== entry && other.domain === domain)
  if (entry.type === 'PASS' || (entry.type === 'SECOND' && shared)) return undefined
  entry.lost = true
  writeEntry(world, entry)
  world.broken = () => {
    entry.lost = false
    writeEntry(world, entry)
    return { text: `${nameOf(entry)}: leads to its table again`, needs: entryNeeds(world, entry) }
  }
  return { text: `${nameOf(entry)}: leads to where no memory is`, needs }
}

/** Changes the entry of the PASID's group of 64 in the device's directory. */
export function changeGroup(world: World, device: Device, pasid: number): Change | undefined {
  const { directory } = device
  const index = pasid >>> 6
  const group = directory.groups.get(index)
  if (group === undefined) return undefined
  const name = `directory entry ${index} of ${device.name}`
  group.state = world.random.pick(ODD_STATES)
  writeGroup(world, directory, index)
  world.broken = () => {
    group.state = 'PRESENT'
    writeGroup(world, directory, index)
    return { text: `${name}: made good`, needs: groupNeeds(world, directory, index, false) }
  }
  return { text: `${name}: ${group.state}`, needs: groupNeeds(world, directory, index, true) }
}

/** Changes the context entry of the device, or the root entry that leads to it. */
export function changeContext(world: World, device: Device): Change {
  const { random } = world
  if (random.percent(10)) return spoilRoot(world, device)
  if (random.percent(45)) return spoilContext(world, device)
  const before = contextNeeds(world, device)
  const kind = random.below(5)
  if (kind === 0) device.pasids = !device.pasids
  else if (kind === 1) device.silenced = !device.silenced
  else if (kind === 2) device.rid = chooseRid(world)
  else if (kind === 3) device.directory = random.pick(world.devices).directory
  else if (world.options.supervisorRequests) device.ridPrivileged = !device.ridPrivileged
  writeContext(world, device)
  const { pasids, silenced, rid, ridPrivileged } = device
  const is = `PASIDE ${pasids}, FPD ${silenced}, RID_PASID ${rid}, RID_PRIV ${ridPrivileged}`
  const text = `context entry of ${device.name}: ${is}, directory 0x${device.directory.address.toString(16)}`
  return { text, needs: before }
}

/** Now and then beyond the directory. */
function chooseRid({ random, entries, directorySize }: World): number {
  return random.percent(25)
    ? 2 ** (directorySize + 13) + random.below(64)
    : random.pick(entries).pasid
}

function spoilContext(world: World, device: Device): Change {
  const needs = contextNeeds(world, device)
  const state = world.random.pick(ODD_STATES)
  device.state = state
  writeContext(world, device)
  world.broken = () => {
    device.state = 'PRESENT'
    writeContext(world, device)
    // One that leads nowhere is there all the same.
    const again = state === 'NOWHERE' ? contextNeeds(world, device) : newContextNeeds(world, device)
    return { text: `context entry of ${device.name}: made good`, needs: again }
  }
  return { text: `context entry of ${device.name}: ${state}`, needs }
}

function spoilRoot(world: World, device: Device): Change {
  const index = rootIndex(device.sourceId)
  const state = world.random.pick(ODD_STATES)
  world.oddRoots.set(index, state)
  writeRoot(world, index)
  world.broken = () => {
    world.oddRoots.delete(index)
    writeRoot(world, index)
    const again = state === 'NOWHERE' ? rootNeeds(world) : newContextNeeds(world, undefined)
    return { text: `root entry ${index}: made good`, needs: again }
  }
  return { text: `root entry ${index}: ${state}`, needs: rootNeeds(world) }
}
