public import KaratGraphs
import KaratKernels
public import KaratTensors

/// Rounds the weights of linear layers to INT8, symmetric, with one scale for each output channel.
///
/// The grid is `absmax / 127`, so that codes run from −127 to 127 and the largest weight is exact.
/// Data-free: a weight is quantized when it is pulled, one in memory at a time.
public struct QuantizeWeights: Pass {
  /// The name in recipes.
  public static let name = "quantize-weights"
  /// One sentence on what it does.
  public static let summary = "Round the weights of linear layers to INT8, one scale per channel."
  /// The names of its options.
  public static let optionNames = CodingKeys.allCases.map(\.stringValue)

  /// Bits of a code; 8.
  public var bits: Int = 8
  /// Which weights share a scale; those of one output channel.
  public var granularity: Scheme.Granularity = .channel

  enum CodingKeys: String, CodingKey, CaseIterable {
    case bits, granularity
  }

  /// INT8, one scale per channel.
  public init() {}

  /// Reads the options of a recipe.
  public init(from decoder: any Decoder) throws {
    let options = try decoder.container(keyedBy: CodingKeys.self)
    bits = try options.option(.bits, default: bits)
    granularity = try options.option(.granularity, default: granularity)
  }

  /// Gives the model with codes in place of weights.
  public func apply(to model: Model, in context: PassContext) throws -> Model {
    try require(bits == 8, "bits is \(bits); weights can be quantized to 8.")
    try require(
      granularity == .channel,
      "granularity is '\(granularity.rawValue)'; weights share a scale by 'channel'."
    )
    let workers = context.threads.map { Workers(threads: $0) } ?? .automatic
    let scheme = Scheme.int8Weights
    let shared = model.graph.sharedParameters
    var changes: [TensorName: DerivedTensor] = [:]
    var chosen: Set<TensorName> = []
    for layer in model.graph.linearLayers
    where !layer.hasCodes && !context.ignored.contains(layer.path) {
      try require(
        !shared.contains(layer.weight),
        "\(layer.path.quoted) shares its weight \(layer.weight.quoted) with another operation, "
          + "which needs it in float. Leave the layer out: ignore: [\(layer.path.quoted)]."
      )
      chosen.insert(layer.path)
      let source = model.source
      let shape = layer.weightType.shape(Binding(batch: 0, length: 0))
      changes[layer.weight] = DerivedTensor(TensorInfo(.i8, shape)) {
        () throws(CheckpointError) in
        try ChannelCodes(of: layer.weight, in: source, on: workers).codes
      }
      changes[layer.weightScale] = DerivedTensor(TensorInfo(.f32, [shape[0], 1])) {
        () throws(CheckpointError) in
        try ChannelCodes.scales(of: layer.weight, in: source, on: workers)
      }
    }
    try require(!chosen.isEmpty, "no linear layer is left to quantize after 'ignore'.")
    return Model(
      graph: try model.graph.withQuantizedWeights(of: chosen, scheme),
      source: model.source.overlaid(with: changes),
      calibration: model.calibration
    )
  }
}

/// A weight [out, in] as INT8 codes with one scale for each row.
struct ChannelCodes {
  /// I8[out, in], from −127 to 127.
  let codes: Tensor
  /// F32[out, 1].
  let scales: Tensor

  /// Quantizes a weight of a source.
  init(
    of name: TensorName,
    in source: any TensorSource,
    on workers: Workers
  ) throws(CheckpointError) {
    let weight = try source.tensor(name).asFloat32(on: workers)
    let scales = try Self.scales(of: weight, name, on: workers)
    codes = Self.codes(weight, scales, on: workers)
    self.scales = scales
  }

  /// Only the scales of a weight of a source.
  static func scales(
    of name: TensorName,
    in source: any TensorSource,
    on workers: Workers
  ) throws(CheckpointError) -> Tensor {
    try scales(of: try source.tensor(name).asFloat32(on: workers), name, on: workers)
  }

  /// The scale of each row: its largest magnitude becomes code 127.
  ///
  /// A row of zeros gets 1, since any scale represents it.
  static func scales(
    of weight: Tensor,
    _ name: TensorName,
    on workers: Workers
  ) throws(CheckpointError) -> Tensor {
    let (rows, columns) = (weight.shape[0], weight.shape[1])
    var scales = Array(repeating: Float(0), count: rows)
    weight.withFloats { weight in
      scales.withUnsafeMutableBufferPointer { out in
        guard let out = out.baseAddress else { return }
        rowAbsoluteMaxima(x: weight, rows: rows, columns: columns, out: out, on: workers)
      }
    }
    for (row, largest) in scales.enumerated() {
      guard weight.rows(row..<row + 1).isFinite else {
        throw CheckpointError(
          .malformed,
          tensor: name,
          "row \(row) holds NaN or infinity, which no scale can represent. Mend the checkpoint, or "
            + "leave the layer out with ignore."
        )
      }
      let scale = largest / 127
      scales[row] = scale >= .leastNormalMagnitude ? scale : 1
    }
    return Tensor(scales, shape: [rows, 1])
  }

  /// The codes of a weight under given scales.
  static func codes(_ weight: Tensor, _ scales: Tensor, on workers: Workers) -> Tensor {
    Tensor(.i8, weight.shape) { bytes in
      guard let out = bytes.baseAddress?.assumingMemoryBound(to: Int8.self) else { return }
      weight.withFloats { elements in
        scales.withFloats { scales in
          quantizeRows(
            weight: elements,
            rows: weight.shape[0],
            columns: weight.shape[1],
            scales: scales,
            limit: 127,
            out: out,
            on: workers
          )
        }
      }
    }
  }
}

extension Tensor {
  /// Lends the elements of a float32 tensor.
  func withFloats<R>(_ body: (UnsafePointer<Float>) -> R) -> R {
    withElements(as: Float.self) { elements in
      guard let first = elements.baseAddress else { preconditionFailure("tensors have memory") }
      return body(first)
    }
  }
}

extension LinearLayer {
  /// The weight [out, in] in float32, whether it is stored so or as codes.
  func floatWeight(
    in source: any TensorSource,
    on workers: Workers
  ) throws(CheckpointError) -> Tensor {
    let weight = try source.tensor(self.weight)
    guard hasCodes else { return weight.asFloat32(on: workers) }
    let scales = try source.tensor(weightScale).asFloat32(on: workers)
    return weight.dequantized(byRows: scales, on: workers)
  }
}
