/**
 * What QEMU's hardware does not say of itself, and the driver must believe for nested tables on
 * PASIDs: two boot parameters for tests, put into the kernel's source. Only the claim is ours; what
 * the driver does then is its own code. Nothing translates by it: DMA with a PASID is not emulated.
 *
 * - `lab_ecap_or=NUMBER`: bits that each Intel IOMMU claims beside its extended capabilities.
 * - `lab_fake_pasid`: QEMU's `edu` device (1234:11e8) claims PASIDs of 10 bits.
 */
import fs from 'node:fs'
import path from 'node:path'

const EDU = { vendor: '0x1234', device: '0x11e8' }
const EDU_PASID_BITS = 10

const ECAP_PARAMETER = `
static u64 lab_ecap_or;

static int __init lab_ecap_or_setup(char *text)
{
	return kstrtou64(text, 0, &lab_ecap_or) == 0;
}
__setup("lab_ecap_or=", lab_ecap_or_setup);
`

const PASID_PARAMETER = `
static bool lab_fake_pasid;

static int __init lab_fake_pasid_setup(char *text)
{
	lab_fake_pasid = true;
	return 1;
}
__setup("lab_fake_pasid", lab_fake_pasid_setup);

static bool lab_has_pasids(struct pci_dev *pdev)
{
	return lab_fake_pasid && pdev->vendor == ${EDU.vendor} && pdev->device == ${EDU.device};
}
`

/** First statements of the functions that say what a device can do. */
const PASID_ANSWERS = {
  pci_enable_pasid: 'pdev->pasid_enabled = 1;\n\t\treturn 0;',
  pci_pasid_features: 'return 0;',
  pci_pasid_status: 'return PCI_PASID_CTRL_ENABLE;',
  pci_max_pasids: `return 1 << ${EDU_PASID_BITS};`,
}

/** @throws when the source is not as it is known here */
function insertAfter(text, place, addition, what) {
  const found = [...text.matchAll(place)]
  if (found.length !== 1) {
    throw new Error(`the kernel's source has ${found.length} places for ${what}, and must have one`)
  }
  const end = found[0].index + found[0][0].length
  return text.slice(0, end) + addition + text.slice(end)
}

function afterIncludes(text, addition, what) {
  return insertAfter(text, /^#include .*\n(?![^]*^#include )/gm, addition, what)
}

function edit(file, change) {
  fs.writeFileSync(file, change(fs.readFileSync(file, 'utf8')))
}

/** Puts both parameters into the unpacked source. */
export function patchSource(folder) {
  edit(path.join(folder, 'drivers/iommu/intel/dmar.c'), (text) => {
    const read = /^\tiommu->ecap = .*;\n/gm
    const claimed = '\tiommu->ecap |= lab_ecap_or;\n'
    return afterIncludes(
      insertAfter(text, read, claimed, 'the claimed capabilities'),
      ECAP_PARAMETER,
      'lab_ecap_or',
    )
  })
  edit(path.join(folder, 'drivers/pci/ats.c'), (text) => {
    let changed = afterIncludes(text, PASID_PARAMETER, 'lab_fake_pasid')
    for (const [name, answer] of Object.entries(PASID_ANSWERS)) {
      const begin = new RegExp(`^int ${name}\\(.*\\)\\n\\{\\n`, 'gm')
      changed = insertAfter(
        changed,
        begin,
        `\tif (lab_has_pasids(pdev)) {\n\t\t${answer}\n\t}\n`,
        name,
      )
    }
    return changed
  })
}
