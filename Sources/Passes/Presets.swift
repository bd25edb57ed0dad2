import KaratTensors

extension Recipe {
  /// What presets leave in float: heads, whose rounding shows at once; `kv_b_proj` of latent
  /// attention, which engines take apart; and the joint of a block that predicts later tokens.
  private static let unquantized = [
    "lm_head", #"re:.*\.shared_head\.head$"#, #"re:.*\.kv_b_proj$"#, #"re:.*\.eh_proj$"#,
  ]

  /// Recipes that have a name, as `--preset` takes it.
  public static let presets: [(name: String, summary: String, recipe: Recipe)] = [
    (
      "int8", "INT8 weights and static INT8 activations, smoothed and searched",
      Recipe(
        passes: [
          SmoothQuant(), Calibrate(observer: .output), QuantizeWeights(), QuantizeActivations(),
        ],
        ignored: unquantized
      )
    ),
    (
      "int8-dynamic", "INT8 weights, and INT8 activations scaled token by token; no text needed",
      Recipe(
        passes: [QuantizeWeights(), QuantizeActivations(granularity: .token)],
        ignored: unquantized
      )
    ),
    (
      "int8-weights", "INT8 weights, one scale per channel; activations stay in float",
      Recipe(passes: [QuantizeWeights()], ignored: unquantized)
    ),
  ]
}
