public import KaratTensors

/// A value that every run brings along, such as token ids.
public struct Input: Operation {
  /// Its name, such as `input_ids`.
  public let label: String
  let type: ValueType

  package init(label: String, type: ValueType) {
    self.label = label
    self.type = type
  }

  package var name: String { "input" }
  package var attributes: [(name: String, value: String)] { [("label", label)] }

  package func resultTypes(of inputs: [ValueType]) throws(GraphError) -> [ValueType] { [type] }

  package func evaluate(_ run: Evaluation) {
    preconditionFailure("a run begins with its inputs")
  }
}

/// A tensor of the checkpoint.
///
/// A parameter of type F32 stands for a tensor of any floating-point type, which is widened when it
/// is pulled; one of an integer type stands for just that type.
public struct Parameter: Operation {
  /// The tensor's name in the checkpoint.
  public let tensor: TensorName
  let type: ValueType

  package init(_ tensor: TensorName, type: ValueType) {
    self.tensor = tensor
    self.type = type
  }

  package var name: String { "parameter" }
  package var attributes: [(name: String, value: String)] { [("tensor", tensor.quoted)] }

  package func resultTypes(of inputs: [ValueType]) throws(GraphError) -> [ValueType] { [type] }

  package func evaluate(_ run: Evaluation) {
    preconditionFailure("parameters are pulled from the model's source")
  }
}
