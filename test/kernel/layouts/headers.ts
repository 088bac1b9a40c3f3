/**
 * The kernel's user headers of today: package linux-libc-dev of trixie-backports, fetched with apt
 * (which checks Debian's signature) into folders of its own, so that nothing is installed and the
 * machine's own lists stay as they are. Works without root.
 */
import fs from 'node:fs'
import path from 'node:path'
import { cached, fetchWith, run, Unavailable, works } from '../../interop/toolchains.js'

const PACKAGE = 'linux-libc-dev'
const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg'
const SOURCE = `deb [signed-by=${KEYRING}] https://deb.debian.org/debian trixie-backports main\n`
/** The first kernel with all that is checked: IOMMU_HW_CAP_PCI_ATS_NOT_SUPPORTED. */
const NEEDED = '7.1'
const NETWORK_SECONDS = 30

/** apt, looking only at what is below `folder`. */
function aptIn(folder: string): readonly string[] {
  const settings = {
    'Dir::Etc::sourcelist': path.join(folder, 'sources.list'),
    'Dir::Etc::sourceparts': '-',
    'Dir::Etc::preferences': '-',
    'Dir::Etc::preferencesparts': '-',
    'Dir::State': folder,
    'Dir::State::lists': path.join(folder, 'lists'),
    'Dir::State::status': path.join(folder, 'status'),
    'Dir::Cache': path.join(folder, 'cache'),
    'APT::Sandbox::User': 'root',
    'Acquire::http::Timeout': NETWORK_SECONDS,
    'Acquire::https::Timeout': NETWORK_SECONDS,
  }
  const options = Object.entries(settings).flatMap(([name, value]) => ['-o', `${name}=${value}`])
  return ['apt-get', '-q', ...options]
}

/** Unpacks the package into `folder`. @throws Unavailable */
async function fetchInto(folder: string): Promise<void> {
  if (!fs.existsSync(KEYRING)) throw new Unavailable('needs the package debian-archive-keyring')
  for (const tool of ['apt-get', 'dpkg-deb', 'dpkg']) {
    if (!(await works([tool, '--version']))) throw new Unavailable(`needs ${tool}`)
  }
  const work = path.join(folder, 'apt')
  fs.mkdirSync(path.join(work, 'lists', 'partial'), { recursive: true })
  fs.mkdirSync(path.join(work, 'cache', 'archives', 'partial'), { recursive: true })
  fs.writeFileSync(path.join(work, 'sources.list'), SOURCE)
  fs.writeFileSync(path.join(work, 'status'), '')
  const apt = aptIn(work)
  await fetchWith([...apt, 'update', '-o', 'APT::Update::Error-Mode=any'])
  await fetchWith([...apt, 'download', PACKAGE], { cwd: work })
  const name = fs.readdirSync(work).find((file) => file.endsWith('.deb'))
  if (name === undefined) throw new Error(`apt-get download ${PACKAGE} left no package`)
  const file = path.join(work, name)
  const version = (await run(['dpkg-deb', '-f', file, 'Version'])).trim()
  if (!(await works(['dpkg', '--compare-versions', version, 'ge', NEEDED]))) {
    throw new Unavailable(`${PACKAGE} is ${version}, and ${NEEDED} is needed`)
  }
  await run(['dpkg-deb', '-x', file, folder])
  fs.rmSync(work, { recursive: true })
}

/** Folders for the compiler's -I: the headers, and what of them is this machine's architecture. */
export async function kernelHeaders(): Promise<readonly string[]> {
  const folder = await cached(PACKAGE, [SOURCE, NEEDED], fetchInto)
  const include = path.join(folder, 'usr', 'include')
  const machine = (await run(['gcc', '-print-multiarch'])).trim()
  return [include, path.join(include, machine)]
}
