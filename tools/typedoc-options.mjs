// A typedoc plugin: options documented in the schemas (src/config) carry that text in the API documentation too.
//
// The types of options are inferred from the schemas, where a description stands beside each option:
//   batchSize: field(z.int().default(64), 'pictures a step')
// so that help texts, JSON schema and documentation have one source. typedoc sees the property, not the description.
import { Comment, Converter, ReflectionKind } from 'typedoc'
import ts from 'typescript'

/** Entry point that typedoc calls. */
export function load(app) {
  app.converter.on(Converter.EVENT_CREATE_DECLARATION, (context, reflection) => {
    if (!reflection.kindOf(ReflectionKind.Property) || reflection.hasComment()) return
    const [declaration] = context.getSymbolFromReflection(reflection)?.declarations ?? []
    const text = declaration && descriptionOf(declaration, context.checker)
    if (text) reflection.comment = new Comment([{ kind: 'text', text }])
  })
}

/** The description in a property's initialiser, followed through constants such as `encoder` in `{ encoder }`. */
function descriptionOf(node, checker) {
  if (ts.isShorthandPropertyAssignment(node)) {
    return fromSymbol(checker.getShorthandAssignmentValueSymbol(node), checker)
  }
  if (!ts.isPropertyAssignment(node) && !ts.isVariableDeclaration(node)) return undefined
  return node.initializer && fromExpression(node.initializer, checker)
}

function fromSymbol(symbol, checker) {
  const target = symbol && symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol
  const [declaration] = target?.declarations ?? []
  return declaration && descriptionOf(declaration, checker)
}

function fromExpression(expression, checker) {
  if (ts.isIdentifier(expression)) return fromSymbol(checker.getSymbolAtLocation(expression), checker)
  if (!ts.isCallExpression(expression)) return undefined
  const [first, second] = expression.arguments
  const name = expression.expression.getText()
  if ((name === 'field' || name === 'group') && second && ts.isStringLiteralLike(second)) return second.text
  // schema.meta({ description: '...' })
  if (name.endsWith('.meta') && first && ts.isObjectLiteralExpression(first)) {
    const entry = first.properties.find((property) => property.name?.getText() === 'description')
    if (entry && ts.isPropertyAssignment(entry) && ts.isStringLiteralLike(entry.initializer)) {
      return entry.initializer.text
    }
  }
  return undefined
}
