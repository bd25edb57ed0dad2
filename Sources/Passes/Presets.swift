import KaratTensors

extension Recipe {
  /// Recipes that have a name, as `--preset` takes it.
  public static let presets: [(name: String, summary: String, recipe: Recipe)] = [
    (
      "int8", "INT8 weights and static INT8 activations, smoothed and searched",
      Recipe(
        passes: [
          SmoothQuant(), Calibrate(observer: .output), QuantizeWeights(), QuantizeActivations(),
        ],
        ignored: ["lm_head"]
      )
    ),
    (
      "int8-dynamic", "INT8 weights, and INT8 activations scaled token by token; no text needed",
      Recipe(
        passes: [QuantizeWeights(), QuantizeActivations(granularity: .token)],
        ignored: ["lm_head"]
      )
    ),
    (
      "int8-weights", "INT8 weights, one scale per channel; activations stay in float",
      Recipe(passes: [QuantizeWeights()], ignored: ["lm_head"])
    ),
  ]
}
