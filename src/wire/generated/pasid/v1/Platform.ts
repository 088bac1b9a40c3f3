// Original file: proto/pasid/v1/types.proto

export const Platform = {
  PLATFORM_UNSPECIFIED: 'PLATFORM_UNSPECIFIED',
  PLATFORM_INTEL_VTD: 'PLATFORM_INTEL_VTD',
  PLATFORM_ARM_SMMUV3: 'PLATFORM_ARM_SMMUV3',
  PLATFORM_AMD: 'PLATFORM_AMD',
} as const;

export type Platform =
  | 'PLATFORM_UNSPECIFIED'
  | 0
  | 'PLATFORM_INTEL_VTD'
  | 1
  | 'PLATFORM_ARM_SMMUV3'
  | 2
  | 'PLATFORM_AMD'
  | 3

export type Platform__Output = typeof Platform[keyof typeof Platform]
