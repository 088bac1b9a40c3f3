// Original file: proto/pasid/v1/emulator_lab.proto


export interface EmulatedTarget {
  'pasid'?: (number);
  'rid'?: (boolean);
  'target'?: "pasid"|"rid";
}

export interface EmulatedTarget__Output {
  'pasid'?: (number);
  'rid'?: (boolean);
  'target'?: "pasid"|"rid";
}
