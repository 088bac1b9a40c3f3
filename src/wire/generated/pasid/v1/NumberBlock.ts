// Original file: proto/pasid/v1/pasid_broker.proto


export interface NumberBlock {
  'size'?: (number);
}

export interface NumberBlock__Output {
  'size': (number);
}
