public import KaratGraphs
public import KaratTensors

/// Rounds the activations that linear layers read to INT8, so that the layers multiply integers.
///
/// Per tensor: static and asymmetric, one scale and zero point for all numbers, from calibration.
/// Layers that read one value (q, k and v; gate and up) have one range, because engines that fuse
/// them keep only one.
///
/// Per token: dynamic and symmetric, one scale for each row, taken from its numbers in every run. No
/// calibration is needed. Layers of experts are quantized so unless told otherwise: engines load INT8
/// experts in no other form, and the text that reaches an expert may be short.
///
/// Routers, and layers whose product an operation rearranges, such as `kv_b_proj` of latent
/// attention, keep reading floating point.
public struct QuantizeActivations: Pass {
  /// The name in recipes.
  public static let name = "quantize-activations"
  /// One sentence on what it does.
  public static let summary = "Round what linear layers read to INT8, so that they multiply codes."
  /// The names of its options.
  public static let optionNames = CodingKeys.allCases.map(\.stringValue)

  /// Bits of a code; 8.
  public var bits: Int = 8
  /// Which numbers share a scale; all of a tensor, or those of a token.
  public var granularity: Scheme.Granularity = .tensor
  /// Which numbers share a scale in what experts read.
  public var experts: Scheme.Granularity = .token
  /// Whether zero is always code zero; nil for what the granularity does: tokens are symmetric.
  public var symmetric: Bool?

  enum CodingKeys: String, CodingKey, CaseIterable {
    case bits, granularity, experts, symmetric
  }

  /// INT8, asymmetric, per tensor.
  public init() {}

  /// INT8, per tensor or per token.
  public init(granularity: Scheme.Granularity) {
    self.granularity = granularity
  }

  /// Reads the options of a recipe.
  public init(from decoder: any Decoder) throws {
    let options = try decoder.container(keyedBy: CodingKeys.self)
    bits = try options.option(.bits, default: bits)
    granularity = try options.option(.granularity, default: granularity)
    experts = try options.option(.experts, default: experts)
    symmetric = try options.decodeIfPresent(Bool.self, forKey: .symmetric)
  }

  /// Gives the model whose chosen layers read codes.
  public func apply(to model: Model, in context: PassContext) throws -> Model {
    try require(bits == 8, "bits is \(bits); activations can be quantized to 8.")
    try require(
      granularity != .channel,
      "granularity is '\(granularity.rawValue)'; activations share a scale by 'tensor' or 'token'."
    )
    try require(
      experts != .channel,
      "experts is '\(experts.rawValue)'; their activations share a scale by 'tensor' or 'token'."
    )
    try require(
      granularity != .token || symmetric != false,
      "symmetric is false; tokens, whose scales are found while the model runs, are symmetric."
    )
    let layers = context.layers(of: model.graph).filter(\.takesCodes)
    try requireLayer(
      !layers.isEmpty,
      in: model,
      "no linear layer is left to quantize after 'ignore'."
    )
    var result = model
    try quantizeTokens(of: layers.filter { granularity(of: $0) == .token }, &result)
    try quantizeTensors(of: layers.filter { granularity(of: $0) == .tensor }, &result)
    return result
  }

  /// Which numbers of what a layer reads share a scale.
  private func granularity(of layer: LinearLayer) -> Scheme.Granularity {
    layer.isRouted && granularity == .tensor ? experts : granularity
  }

  private func quantizeTokens(of layers: [LinearLayer], _ model: inout Model) throws {
    guard !layers.isEmpty else { return }
    // Two nodes may be one layer.
    let leaders = Dictionary(layers.map { ($0.path, $0.path) }, uniquingKeysWith: { $1 })
    model.graph = try model.graph.withQuantizedActivations(leaders: leaders, .int8Tokens)
  }

  private func quantizeTensors(of layers: [LinearLayer], _ model: inout Model) throws {
    guard !layers.isEmpty else { return }
    guard let calibration = model.calibration else {
      throw PassError(
        Self.name,
        "the model has no calibrated ranges. Put 'calibrate' before this pass, or quantize by token:"
          + " granularity: token."
      )
    }
    let isSymmetric = symmetric ?? false
    let scheme = Scheme(bits: 8, isSymmetric: isSymmetric, granularity: .tensor)
    var leaders: [TensorName: TensorName] = [:]
    var firsts: [ValueID: [QuantizationRange: TensorName]] = [:]
    var changes: [TensorName: DerivedTensor] = [:]
    for layer in layers {
      guard let calibrated = calibration.ranges[layer.path.text] else {
        throw PassError(
          Self.name,
          "\(layer.path.quoted) has no calibrated range. "
            + (layer.isRouted
              ? "Calibrate the experts too: calibrate: { experts: true }."
              : "Was it ignored in calibration? Ignore it here too, or calibrate again.")
        )
      }
      let range = isSymmetric ? calibrated.symmetric : calibrated
      let leader = firsts[layer.input]?[range] ?? layer.path
      firsts[layer.input, default: [:]][range] = leader
      leaders[layer.path] = leader
      changes[layer.inputScale] = DerivedTensor(Tensor([range.scale]))
      if !isSymmetric {
        changes[layer.inputZeroPoint] = DerivedTensor(Tensor(.i8, [1], copying: [range.zeroPoint]))
      }
    }
    model.graph = try model.graph.withQuantizedActivations(leaders: leaders, scheme)
    model.source = model.source.overlaid(with: changes)
  }
}

extension Graph {
  /// Checks that no layer reads codes and multiplies them with weights in floating point, which a
  /// checkpoint cannot say.
  package func checkActivations() throws(PassError) {
    for node in nodes {
      guard case .linear = node.op, case .dequantize = self.node(of: node.inputs[0]).op else {
        continue
      }
      throw PassError(
        QuantizeActivations.name,
        "\(node.path.quoted) reads codes, and its weights are in floating point, which no checkpoint "
          + "says. Quantize its weights too, by quantize-weights, or leave it out: ignore."
      )
    }
  }
}
