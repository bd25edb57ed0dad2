import KaratGraphs
import KaratTensors
import Testing

/// What the operations of mixtures of experts and of latent attention make of the types they read.
@Suite struct MixtureRules {
  private static func state(_ features: Int, _ dtype: DType = .f32) -> ValueType {
    ValueType(dtype, [.batch, .length, .fixed(features)])
  }
  private static func rows(_ expert: Int, _ features: Int = 8) -> ValueType {
    ValueType(.f32, [.routed(expert: expert), .fixed(features)])
  }
  private static func route(_ chosen: Int, _ grouping: Route.Grouping? = nil) -> Op {
    .route(Route(chosen: chosen, score: .sigmoid, grouping: grouping, normalizes: true))
  }
  private static let choices = state(2, .i32)
  private static let latent = Op.latentAttention(LatentAttention(heads: 4, scale: 0.25))

  @Test(arguments: [
    ShapeRules.Rule(
      route(2),
      [state(6)],
      "F32[batch, length, 2], I32[batch, length, 2], I32[7], I32[batch, length, 2]"
    ),
    .init(
      route(2, .init(count: 3, kept: 1, rank: .twoGreatest)),
      [state(6), ValueType(.f32, 6)],
      "F32[batch, length, 2], I32[batch, length, 2], I32[7], I32[batch, length, 2]"
    ),
    .init(
      .expertRows(ExpertRows(expert: 2)),
      [state(8), ValueType(.i32, 4), choices],
      "F32[rows of expert 2, 8]"
    ),
    .init(.linear(Linear()), [rows(1), ValueType(.f32, 3, 8)], "F32[rows of expert 1, 3]"),
    .init(.swiglu(SwiGLU()), [rows(1), rows(1)], "F32[rows of expert 1, 8]"),
    .init(
      .combineExperts(CombineExperts()),
      [state(2), ValueType(.i32, 3), choices, rows(0), rows(1)],
      "F32[batch, length, 8]"
    ),
    .init(
      latent,
      [state(40), state(8), state(12), state(2), ValueType(.f32, 60, 12)],
      "F32[batch, length, 20]"
    ),
    .init(
      .headSlice(HeadSlice(heads: 2, from: 1, count: 3)),
      [state(8)],
      "F32[batch, length, 6]"
    ),
    .init(.concatenation(Concatenation()), [state(3), state(5)], "F32[batch, length, 8]"),
    .init(
      .laterTokens(LaterTokens(distance: 1)),
      [ValueType(.i32, [.batch, .length])],
      "I32[batch, length]"
    ),
  ])
  func accepts(_ rule: ShapeRules.Rule) {
    #expect(rule.found == rule.result)
  }

  @Test(arguments: [
    ShapeRules.Rule(
      route(7),
      [state(6)],
      "7 experts cannot be chosen from 1 of 1 equal groups of 6 experts."
    ),
    .init(
      route(3, .init(count: 3, kept: 1, rank: .greatest)),
      [state(6)],
      "3 experts cannot be chosen from 1 of 3 equal groups of 6 experts."
    ),
    .init(
      route(1, .init(count: 4, kept: 1, rank: .greatest)),
      [state(6)],
      "1 experts cannot be chosen from 1 of 4 equal groups of 6 experts."
    ),
    .init(
      route(1),
      [state(6), ValueType(.f32, 5)],
      "a router reads F32 logits of tokens and a bias of each expert: [F32[batch, length, 6], F32[5]]."
    ),
    .init(
      .expertRows(ExpertRows(expert: 3)),
      [state(8), ValueType(.i32, 4), choices],
      "the rows of expert 3 cannot be told from [F32[batch, length, 8], I32[4], I32[batch, length, 2]]."
    ),
    // Rows of different experts are not one value's, and experts come in order.
    .init(
      .swiglu(SwiGLU()),
      [rows(1), rows(2)],
      "an elementwise operation needs two F32 values of one shape, not [F32[rows of expert 1, 8], F32[rows of expert 2, 8]]."
    ),
    .init(
      .combineExperts(CombineExperts()),
      [state(2), ValueType(.i32, 3), choices, rows(1), rows(0)],
      "a router's weights, offsets and slots and the rows of all experts in order are needed: [F32[batch, length, 2], I32[3], I32[batch, length, 2], F32[rows of expert 1, 8], F32[rows of expert 0, 8]]."
    ),
    .init(
      latent,
      [state(40), state(9), state(12), state(2), ValueType(.f32, 60, 12)],
      "4 heads of latent attention do not fit [F32[batch, length, 40], F32[batch, length, 9], F32[batch, length, 12], F32[batch, length, 2], F32[60, 12]]."
    ),
    .init(
      .headSlice(HeadSlice(heads: 2, from: 2, count: 3)),
      [state(8)],
      "elements 2..<5 of each of 2 heads are not in [F32[batch, length, 8]]."
    ),
    .init(
      .laterTokens(LaterTokens(distance: 0)),
      [ValueType(.i32, [.batch, .length])],
      "later tokens are told from I32 ids, not from [I32[batch, length]]."
    ),
  ])
  func refuses(_ rule: ShapeRules.Rule) {
    #expect(rule.found == rule.result)
  }
}
