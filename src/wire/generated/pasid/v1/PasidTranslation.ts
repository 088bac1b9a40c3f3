// Original file: proto/pasid/v1/types.proto

export const PasidTranslation = {
  PASID_TRANSLATION_UNSPECIFIED: 'PASID_TRANSLATION_UNSPECIFIED',
  PASID_TRANSLATION_NONE: 'PASID_TRANSLATION_NONE',
  PASID_TRANSLATION_MEDIATED: 'PASID_TRANSLATION_MEDIATED',
} as const;

export type PasidTranslation =
  | 'PASID_TRANSLATION_UNSPECIFIED'
  | 0
  | 'PASID_TRANSLATION_NONE'
  | 1
  | 'PASID_TRANSLATION_MEDIATED'
  | 2

export type PasidTranslation__Output = typeof PasidTranslation[keyof typeof PasidTranslation]
