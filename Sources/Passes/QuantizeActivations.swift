public import KaratGraphs
public import KaratTensors

/// Rounds the activations that linear layers read to INT8 by calibrated ranges, so that the layers
/// multiply integers.
///
/// Asymmetric, static, one scale and zero point per tensor. Layers that read one value (q, k and v;
/// gate and up) have one range, because engines that fuse them keep only one.
public struct QuantizeActivations: Pass {
  /// The name in recipes.
  public static let name = "quantize-activations"
  /// One sentence on what it does.
  public static let summary = "Round what linear layers read to INT8, by calibrated ranges."
  /// The names of its options.
  public static let optionNames = CodingKeys.allCases.map(\.stringValue)

  /// Bits of a code; 8.
  public var bits: Int = 8
  /// Which numbers share a scale; all of a tensor.
  public var granularity: Scheme.Granularity = .tensor
  /// Whether zero is always code zero.
  public var symmetric: Bool = false

  enum CodingKeys: String, CodingKey, CaseIterable {
    case bits, granularity, symmetric
  }

  /// INT8, asymmetric, per tensor.
  public init() {}

  /// Reads the options of a recipe.
  public init(from decoder: any Decoder) throws {
    let options = try decoder.container(keyedBy: CodingKeys.self)
    bits = try options.option(.bits, default: bits)
    granularity = try options.option(.granularity, default: granularity)
    symmetric = try options.option(.symmetric, default: symmetric)
  }

  /// Gives the model whose chosen layers read codes.
  public func apply(to model: Model, in context: PassContext) throws -> Model {
    try require(bits == 8, "bits is \(bits); activations can be quantized to 8.")
    try require(
      granularity == .tensor,
      "granularity is '\(granularity.rawValue)'; activations share a scale by 'tensor'."
    )
    guard let calibration = model.calibration else {
      throw PassError(
        Self.name,
        "the model has no calibrated ranges. Put 'calibrate' before this pass."
      )
    }
    let scheme = Scheme(bits: 8, isSymmetric: symmetric, granularity: .tensor)
    let layers = context.layers(of: model.graph).filter(\.takesCodes)
    var leaders: [TensorName: TensorName] = [:]
    var firsts: [ValueID: [QuantizationRange: TensorName]] = [:]
    var changes: [TensorName: DerivedTensor] = [:]
    for layer in layers {
      guard let calibrated = calibration.ranges[layer.path.text] else {
        throw PassError(
          Self.name,
          "\(layer.path.quoted) has no calibrated range. Was it ignored in calibration? Ignore it "
            + "here too, or calibrate again."
        )
      }
      let range = symmetric ? calibrated.symmetric : calibrated
      let leader = firsts[layer.input]?[range] ?? layer.path
      firsts[layer.input, default: [:]][range] = leader
      leaders[layer.path] = leader
      changes[layer.inputScale] = DerivedTensor(Tensor([range.scale]))
      if !symmetric {
        changes[layer.inputZeroPoint] = DerivedTensor(Tensor(.i8, [1], copying: [range.zeroPoint]))
      }
    }
    try require(!layers.isEmpty, "no linear layer is left to quantize after 'ignore'.")
    return Model(
      graph: try model.graph.withQuantizedActivations(leaders: leaders, scheme),
      source: model.source.overlaid(with: changes),
      calibration: calibration
    )
  }
}
