import KaratEngine
public import KaratGraphs
import KaratKernels
public import KaratTensors

/// Rounds the weights of linear layers to INT8 or INT4, symmetric, with one scale for each output
/// channel.
///
/// The grid is `absmax / 127`, or `absmax / 7`, so that codes run from −127 to 127, or from −7 to 7,
/// and the largest weight is exact. Codes of 4 bits take a byte each in files and in memory, as the
/// format `int-quantized` has them.
/// Data-free: a weight is quantized run by run when it is pulled, and read twice: for its scales and
/// for its codes.
public struct QuantizeWeights: Pass {
  /// The name in recipes.
  public static let name = "quantize-weights"
  /// One sentence on what it does.
  public static let summary = "Round the weights of linear layers to INT8, one scale per channel."
  /// The names of its options.
  public static let optionNames = CodingKeys.allCases.map(\.stringValue)

  /// Bits of a code: 8 or 4.
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
    try require(bits == 8 || bits == 4, "bits is \(bits); weights can be quantized to 8 or 4.")
    try require(
      granularity == .channel,
      "granularity is '\(granularity.rawValue)'; weights share a scale by 'channel'."
    )
    let workers = context.threads.map { Workers(threads: $0) } ?? .automatic
    let scheme = Scheme(bits: bits, isSymmetric: true, granularity: .channel)
    let store = ScaleStore(limit: context.memory?.scales)
    let shared = model.graph.sharedParameters
    var changes: [TensorName: DerivedTensor] = [:]
    var chosen: Set<TensorName> = []
    for layer in context.layers(of: model.graph) where !layer.hasCodes {
      try require(
        !shared.contains(layer.weight),
        "\(layer.path.quoted) shares its weight \(layer.weight.quoted) with another operation, "
          + "which needs it in float. Leave the layer out: ignore: [\(layer.path.quoted)]."
      )
      chosen.insert(layer.path)
      let source = model.source
      let shape = layer.weightType.shape(Binding(batch: 0, length: 0))
      let scales = ChannelScales(
        of: layer.weight,
        shape,
        scheme,
        in: source,
        keptIn: store,
        on: workers
      )
      changes[layer.weight] = DerivedTensor(
        TensorInfo(.i8, shape),
        isDivisible: source.isDivisible(layer.weight)
      ) { range throws(CheckpointError) in try scales.codes(range) }
      changes[layer.weightScale] = DerivedTensor(TensorInfo(.f32, [shape[0], 1])) {
        () throws(CheckpointError) in
        Tensor(try scales.values(), shape: [shape[0], 1])
      }
    }
    try requireLayer(
      !chosen.isEmpty,
      in: model,
      "no linear layer is left to quantize after 'ignore'."
    )
    var result = model
    result.graph = try model.graph.withQuantizedWeights(of: chosen, scheme)
    result.source = model.source.overlaid(with: changes)
    result.unrounded = model.source
    return result
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
