// Original file: proto/pasid/v1/pasid_broker.proto


export interface NumberList {
  'pasids'?: (number)[];
}

export interface NumberList__Output {
  'pasids': (number)[];
}
