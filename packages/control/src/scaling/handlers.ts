/** Application Auto Scaling's operations. */
import type { ScalingHandlers } from '@larder/contract/application-auto-scaling/handlers';
import type { ControlContext } from '../control-context.ts';
import { describeActions, describeActivities, describePolicies, describeTargets } from './describe.ts';
import { childArn, targetArn } from './names.ts';
import {
  deleteAction,
  deletePolicy,
  deregisterTarget,
  putAction,
  putPolicy,
  registerTarget,
} from './requests.ts';

export function scalingHandlers(context: ControlContext): ScalingHandlers {
  return {
    RegisterScalableTarget: async (input, caller) => {
      const target = await registerTarget(context, caller.region, input);
      return { ScalableTargetARN: targetArn(target, caller) };
    },
    DeregisterScalableTarget: async (input) => {
      await deregisterTarget(context, input);
      return {};
    },
    DescribeScalableTargets: (input, caller) => describeTargets(context, caller, input),
    PutScalingPolicy: async (input, caller) => {
      const policy = await putPolicy(context, input);
      // Larder evaluates policies itself, without alarms.
      return { PolicyARN: childArn('scalingPolicy', policy, caller), Alarms: [] };
    },
    DeleteScalingPolicy: async (input) => {
      await deletePolicy(context, input);
      return {};
    },
    DescribeScalingPolicies: (input, caller) => describePolicies(context, caller, input),
    DescribeScalingActivities: (input) => describeActivities(context, input),
    PutScheduledAction: async (input) => {
      await putAction(context, input);
      return {};
    },
    DeleteScheduledAction: async (input) => {
      await deleteAction(context, input);
      return {};
    },
    DescribeScheduledActions: (input, caller) => describeActions(context, caller, input),
  };
}
