/** A host for the doctor as files: what sysfs, procfs and /dev have of it, below a folder. */
import fs from 'node:fs'
import path from 'node:path'
import { gzipSync } from 'node:zlib'

/** VT-d registers with which everything works: CAP; ECAP with NEST, PSS 19, PASID, SMTS. */
export const CAP = 0xd2_008c_222f_0686n
export const ECAP = (1n << 26n) | (19n << 35n) | (1n << 40n) | (1n << 43n)

export const NODE_MODE = 0o640

export interface TreeFunction {
  readonly address: string
  readonly driver?: string
  readonly group?: string
  readonly iommu?: string
  readonly config?: Uint8Array
  readonly physfn?: string
  /** `vfio0`, with a node in /dev. */
  readonly vfio?: string
}

export class HostTree {
  constructor(readonly root: string) {}

  file(name: string, content: string | Uint8Array = ''): this {
    const file = path.join(this.root, name)
    fs.mkdirSync(path.dirname(file), { recursive: true })
    fs.writeFileSync(file, content)
    return this
  }

  link(name: string, target: string): this {
    const link = path.join(this.root, name)
    fs.mkdirSync(path.dirname(link), { recursive: true })
    fs.symlinkSync(target, link)
    return this
  }

  kernelConfig(lines: readonly string[]): this {
    return this.file('proc/config.gz', gzipSync(`# Linux\n${lines.join('\n')}\n`))
  }

  unit(name: string, ecap: bigint): this {
    this.file(`sys/class/iommu/${name}/intel-iommu/cap`, `${CAP.toString(16)}\n`)
    return this.file(`sys/class/iommu/${name}/intel-iommu/ecap`, `${ecap.toString(16)}\n`)
  }

  group(number: string, type: string, regions = ''): this {
    this.file(`sys/kernel/iommu_groups/${number}/type`, `${type}\n`)
    return this.file(`sys/kernel/iommu_groups/${number}/reserved_regions`, regions)
  }

  function({ address, driver, group, iommu, config, physfn, vfio }: TreeFunction): this {
    const folder = `sys/bus/pci/devices/${address}`
    this.file(`${folder}/vendor`, '0x8086\n')
    if (config !== undefined) this.file(`${folder}/config`, config)
    if (driver !== undefined) this.link(`${folder}/driver`, `../../../bus/pci/drivers/${driver}`)
    if (iommu !== undefined) this.link(`${folder}/iommu`, `../../virtual/iommu/${iommu}`)
    if (physfn !== undefined) this.link(`${folder}/physfn`, `../${physfn}`)
    if (group !== undefined) {
      this.link(`${folder}/iommu_group`, `../../../kernel/iommu_groups/${group}`)
      this.file(`sys/kernel/iommu_groups/${group}/devices/${address}`)
    }
    if (vfio !== undefined) {
      this.file(`${folder}/vfio-dev/${vfio}/dev`, '251:0\n')
      this.file(`dev/vfio/devices/${vfio}`)
      fs.chmodSync(path.join(this.root, `dev/vfio/devices/${vfio}`), NODE_MODE)
    }
    return this
  }
}

/** Extended configuration space: capabilities by id, in a chain, each with its first word. */
export function configSpace(capabilities: readonly (readonly [id: number, word: number])[]) {
  const config = new Uint8Array(4096)
  const view = new DataView(config.buffer)
  view.setUint32(0, 0x0b25_8086, true)
  for (const [i, [id, word]] of capabilities.entries()) {
    const at = 0x100 + 0x40 * i
    const next = i + 1 < capabilities.length ? at + 0x40 : 0
    view.setUint32(at, id | (1 << 16) | (next << 20), true)
    view.setUint32(at + 4, word, true)
  }
  return config
}
