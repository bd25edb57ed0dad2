import KaratGraphs
import KaratKernels
import KaratTensors

/// What does not change between runs: parameters, what is computed from them alone, packed weights.
///
/// Pulled from the source when first needed, and kept until dropped, or until others need the room:
/// those used longest ago leave first.
final class ConstantStore {
  private enum Key: Hashable {
    case value(ValueID)
    /// The packed weight of the node at a place.
    case packed(Int)
  }
  private enum Content {
    case tensor(Tensor)
    case packed(PackedInt8Weight)

    var byteCount: Int {
      switch self {
      case .tensor(let tensor): tensor.byteCount
      case .packed(let weight): weight.byteCount
      }
    }
  }
  private struct Entry {
    let content: Content
    var lastUse: Int
  }

  private let graph: Graph
  private let parameters: ParameterReader
  private let workers: Workers
  private var entries: [Key: Entry] = [:]
  private var heldBytes = 0
  private var uses = 0
  /// Keys in the order of their use; all but a key's last place are void.
  private var order: [(key: Key, use: Int)] = []
  private var oldest = 0

  /// The most bytes that are kept, or nil for all.
  var limit: Int?

  init(_ model: Model, _ parameters: ParameterReader, _ workers: Workers) {
    graph = model.graph
    self.parameters = parameters
    self.workers = workers
  }

  /// Lets everything go; it is pulled again when it is needed again.
  func drop() {
    entries = [:]
    heldBytes = 0
    order = []
    oldest = 0
  }

  /// The value of a parameter, or of a node that reads only constants.
  func tensor(_ value: ValueID, _ rotations: RotationCache) throws(CheckpointError) -> Tensor {
    if case .tensor(let tensor)? = used(.value(value)) { return tensor }
    makeRoom(for: graph.byteCount(of: value))
    let tensor = try made(value, rotations)
    keep(.tensor(tensor), as: .value(value))
    return tensor
  }

  /// The packed weight of the node at a place.
  func packedWeight(_ place: Int, _ weight: ValueID) throws(CheckpointError) -> PackedInt8Weight {
    if case .packed(let weight)? = used(.packed(place)) { return weight }
    guard let parameter = graph.parameter(weight) else {
      preconditionFailure("packed weights are parameters")
    }
    makeRoom(for: graph.byteCount(of: weight))
    let packed = try parameters.packed(parameter.tensor)
    keep(.packed(packed), as: .packed(place))
    return packed
  }

  private func made(
    _ value: ValueID,
    _ rotations: RotationCache
  ) throws(CheckpointError) -> Tensor {
    if let parameter = graph.parameter(value) {
      return try parameters.tensor(parameter.tensor, as: graph.type(of: value).dtype)
    }
    // What a constant is computed from is not needed after it.
    let node = graph.nodes[value.node]
    var inputs: [Tensor] = []
    for input in node.inputs { inputs.append(try made(input, rotations)) }
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
      withExtendedLifetime(inputs) {}
    }
  }

  private func used(_ key: Key) -> Content? {
    guard var entry = entries[key] else { return nil }
    uses += 1
    entry.lastUse = uses
    entries[key] = entry
    if limit != nil { order.append((key, uses)) }
    // Each key stands in the order once for every use; the void ones are cleared now and then.
    if order.count > 4 * entries.count + 1024 { sortOut() }
    return entry.content
  }

  private func keep(_ content: Content, as key: Key) {
    uses += 1
    entries[key] = Entry(content: content, lastUse: uses)
    heldBytes += content.byteCount
    if limit != nil { order.append((key, uses)) }
  }

  /// Lets what was used longest ago go until there is room for so many bytes more.
  private func makeRoom(for bytes: Int) {
    guard let limit else { return }
    while heldBytes + bytes > limit, oldest < order.count {
      let (key, use) = order[oldest]
      oldest += 1
      guard let entry = entries[key], entry.lastUse == use else { continue }
      entries[key] = nil
      heldBytes -= entry.content.byteCount
    }
    if oldest > 1024 + entries.count { sortOut() }
  }

  private func sortOut() {
    order = order[oldest...].filter { entries[$0.key]?.lastUse == $0.use }
    oldest = 0
  }
}

extension Graph {
  /// The bytes of a value whose extents are all numbers.
  func byteCount(of value: ValueID) -> Int {
    let type = type(of: value)
    return type.dtype.byteCount(
      elementCount: type.shape(Binding(batch: 0, length: 0)).elementCount
    ) ?? 0
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
