/**
 * A VMM's first session with the emulator, its guest included: memory, a page table in it, DMA of
 * the device, and an invalidation that is forgotten. Run it beside `npm start`:
 *
 *   node examples/emulator-session.mjs [path of the VMM socket] [path of the admin socket]
 */
import { setTimeout as pause } from 'node:timers/promises'
import { OperatorClient, PasidClient } from '../dist/client/index.js'

const given = process.argv.slice(2).filter((word) => !word.startsWith('-'))
const [vmm = '../var/vmm/pasid.sock', admin = '../var/admin/pasid.sock'] = given
const pathOf = (socket) => new URL(socket, import.meta.url).pathname
const client = new PasidClient({ socket: pathOf(vmm) })
const operator = new OperatorClient({ socket: pathOf(admin) })
const lab = operator.emulator

const device = 'devices/emu0'
const session = await client.openSession({ labels: { vm: 'emulated' } })
await session.attachDevice({ device })
const { ranges } = await session.allocatePasids({ one: {} })
const pasid = ranges[0].first
console.log(`${session.name} has ${device} and PASID ${pasid}`)

// The guest's memory: 4 MiB of zeros. (A real VMM sends its memfd: docs/OWNERSHIP.md.)
await lab.mapMemory({ session: session.name, address: 0n, size: 4n << 20n })

// The guest's page table: four levels from 0x1000 on; addresses 0x0000 to 0x7fff lead to 0x80000.
const PRESENT_WRITABLE_USER = 7n
async function write(address, words) {
  const data = Buffer.alloc(words.length * 8)
  for (const [i, word] of words.entries()) data.writeBigUInt64LE(word, i * 8)
  await lab.writeMemory(session.name, address, data)
}
for (const table of [0x1000n, 0x2000n, 0x3000n]) {
  await write(table, [(table + 0x1000n) | PRESENT_WRITABLE_USER])
}
const pageAt = (page) => (0x80000n + page * 0x1000n) | PRESENT_WRITABLE_USER
await write(
  0x4000n,
  Array.from({ length: 8 }, (_, i) => pageAt(BigInt(i))),
)
const firstStage = { address: String(0x1000), addressWidth: 48 }
await session.bindPasid({ pasid, devices: [device], firstStage, domain: 7 })

async function access(address) {
  const { translated, fault, source, staleness } = await lab.translate({
    device,
    target: pasid,
    address,
  })
  const hex = (value) => `0x${BigInt(value).toString(16)}`
  const what = translated ? hex(translated.address) : `fault ${hex(fault.reason)} ${fault.name}`
  console.log(`${hex(address)}: ${what}, said the ${source}`)
  if (staleness === null) return
  console.log(`  STALE: ${staleness.difference}`)
  for (const { remedy } of staleness.needed) console.log(`  needed: ${remedy}`)
}

// The device reads page 3, twice: the second time its own TLB knows. Page 9 is not mapped.
await access(0x3010n)
await access(0x3010n)
await access(0x9000n)

// The guest moves page 3, and its VMM forgets to say so.
await write(0x4000n + 3n * 8n, [pageAt(0x10n)])
console.log('page 3 moved')
await access(0x3010n)

// Half of what is needed is not enough: the device-TLB still has the old page.
const addresses = { pasid, device, address: String(0x3000), pages: '1', leaf: true }
await session.invalidate([{ addresses, caches: ['INVALIDATION_CACHE_IOTLB'] }])
console.log('IOTLB invalidated')
await access(0x3010n)

await session.invalidate([{ addresses, caches: ['INVALIDATION_CACHE_DEVICE_TLB'] }])
console.log('device-TLB invalidated')
await access(0x3010n)

if (process.argv.includes('--stay')) await pause(600_000)
await session.closeSession()
client.close()
operator.close()
