// Original file: proto/pasid/v1/operator.proto


export interface CheckRequest {
}

export interface CheckRequest__Output {
}
