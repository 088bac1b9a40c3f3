// Original file: proto/pasid/v1/pasid_broker.proto


export interface UnbindTarget {
  'pasid'?: (number);
  'rid'?: (boolean);
  'devices'?: (string)[];
  'target'?: "pasid"|"rid";
}

export interface UnbindTarget__Output {
  'pasid'?: (number);
  'rid'?: (boolean);
  'devices': (string)[];
  'target'?: "pasid"|"rid";
}
