// Original file: proto/pasid/v1/pasid_broker.proto


export interface OneNumber {
}

export interface OneNumber__Output {
}
