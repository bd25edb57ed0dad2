import KaratGraphs
import KaratKernels
import KaratTensors

/// What does not change between runs: parameters, what is computed from them alone, packed weights.
///
/// Pulled from the source when first needed, and kept until dropped.
final class ConstantStore {
  private let model: Model
  private let workers: Workers
  private var tensors: [ValueID: Tensor] = [:]
  private var packed: [Int: PackedInt8Weight] = [:]

  init(_ model: Model, _ workers: Workers) {
    self.model = model
    self.workers = workers
  }

  /// Lets everything go; it is pulled again when it is needed again.
  func drop() {
    tensors = [:]
    packed = [:]
  }

  /// The value of a parameter, or of a node that reads only constants.
  func tensor(_ value: ValueID, _ rotations: RotationCache) throws(CheckpointError) -> Tensor {
    if let tensor = tensors[value] { return tensor }
    let tensor: Tensor
    if let parameter = try pulled(value) {
      tensor = parameter
    } else {
      tensor = try computed(value, rotations)
    }
    tensors[value] = tensor
    return tensor
  }

  /// The packed weight of the node at a place.
  func packedWeight(_ place: Int, _ weight: ValueID) throws(CheckpointError) -> PackedInt8Weight {
    if let weight = packed[place] { return weight }
    guard let codes = try pulled(weight) else {
      preconditionFailure("packed weights are parameters")
    }
    let weight = codes.withElements(as: Int8.self) { codes8 in
      guard let first = codes8.baseAddress else { preconditionFailure("a weight has elements") }
      return PackedInt8Weight(
        codes: first,
        outFeatures: codes.shape[0],
        inFeatures: codes.shape[1],
        on: workers
      )
    }
    packed[place] = weight
    return weight
  }

  private func pulled(_ value: ValueID) throws(CheckpointError) -> Tensor? {
    guard let parameter = model.graph.parameter(value) else { return nil }
    let tensor = try model.source.tensor(parameter.tensor)
    return model.graph.type(of: value).dtype == .f32 ? tensor.asFloat32(on: workers) : tensor
  }

  private func computed(
    _ value: ValueID,
    _ rotations: RotationCache
  ) throws(CheckpointError) -> Tensor {
    let node = model.graph.nodes[value.node]
    var inputs: [Tensor] = []
    for input in node.inputs { inputs.append(try tensor(input, rotations)) }
    let binding = Binding(batch: 0, length: 0)
    let type = node.types[value.output]
    return Tensor(type.dtype, type.shape(binding)) { bytes in
      guard let base = bytes.baseAddress else { return }
      node.op.operation.evaluate(
        Evaluation(
          place: value.node,
          inputs: inputs.map(Operand.init),
          outputs: [Operand(dtype: type.dtype, shape: type.shape(binding), address: base)],
          packed: nil,
          binding: binding,
          workers: workers,
          rotations: rotations,
          cache: nil
        )
      )
    }
  }
}

extension Operand {
  /// A tensor as an operand; valid while the tensor is kept.
  init(_ tensor: Tensor) {
    let address = tensor.withBytes { UnsafeMutableRawPointer(mutating: $0.baseAddress) }
    guard let address else { preconditionFailure("operands have elements") }
    self.init(dtype: tensor.dtype, shape: tensor.shape, address: address)
  }
}
